package presets

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fieldsOf lists the fields of a struct by their JSON paths, by a walk of its
// own.
func fieldsOf(t reflect.Type, prefix string) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + strings.Split(f.Tag.Get("json"), ",")[0]
		if f.Type.Kind() == reflect.Struct {
			out = append(out, fieldsOf(f.Type, name+".")...)
			continue
		}
		out = append(out, name)
	}
	return out
}

func citedFields(cites []cite) (out []string) {
	for _, c := range cites {
		out = append(out, strings.Fields(c.fields)...)
	}
	return out
}

func TestEveryFieldHasExactlyOneFact(t *testing.T) {
	var experiment Experiment
	config, recipe := reflect.TypeOf(experiment.Config), reflect.TypeOf(experiment.Recipe)
	var paths []string
	for _, f := range fieldsOf(config, "") {
		paths = append(paths, "model."+f)
	}
	for _, f := range fieldsOf(recipe, "") {
		paths = append(paths, "recipe."+f)
	}
	for _, s := range Systems() {
		require.ElementsMatch(t, fieldsOf(config, ""), citedFields(s.model), "%s: the model's citations", s.Name)
		require.ElementsMatch(t, fieldsOf(recipe, ""), citedFields(s.recipe), "%s: the recipe's citations", s.Name)
		require.Subset(t, fieldsOf(recipe, ""), citedFields(s.said), s.Name)
		for _, size := range s.Sizes {
			if size.exceptions != nil {
				require.Subset(t, append(fieldsOf(config, ""), fieldsOf(recipe, "")...), citedFields(size.exceptions), s.Name)
			}
			for _, c := range []Choice{AsPublished, AsClaimed} {
				facts, err := s.Facts(size, c)
				require.NoError(t, err)
				var fields []string
				for _, f := range facts {
					fields = append(fields, f.Field)
					require.Contains(t, []Status{Published, Derived, Default, Claimed}, f.Status, f.Field)
					require.NotEmpty(t, f.Source, f.Field)
					require.NotEmpty(t, f.Value, f.Field)
					require.True(t, c == AsClaimed || f.Status != Claimed, "%s: %s", s.Name, f.Field)
				}
				require.Equal(t, paths, fields[:len(paths)], "in the order of the structs")
				for _, f := range fields[len(paths):] {
					require.Equal(t, "palm", s.Name)
					require.Equal(t, AsPublished, c)
					require.Contains(t, f, "optimizer.")
				}
			}
		}
	}
	_, err := GPT2().Facts(GPT2().Sizes[0], "x")
	require.Error(t, err)
}

func TestZeroMeansNamesFields(t *testing.T) {
	all := append(fieldsOf(reflect.TypeOf(Experiment{}.Config), ""), fieldsOf(reflect.TypeOf(Recipe{}), "")...)
	for f := range zeroMeans {
		require.Contains(t, all, f)
	}
}

// The statuses of the optimizer's hyperparameters, a letter each: published,
// derived, our default.
func TestWhatIsPublished(t *testing.T) {
	const fields = "optimizer beta1 beta2 eps weight_decay schedule.shape schedule.warmup clip policy lr batch_tokens"
	for name, want := range map[string]string{
		"gpt2":    "ooooooooood",
		"gpt3":    "ppppppdpopp",
		"palm":    "pppoppppdpd",
		"llama":   "pppoppppopp",
		"llama2":  "ppppppppopp",
		"mistral": "ooooooooooo",
		"mixtral": "ooooooooooo",
		"grok-1":  "ooooooooooo",
	} {
		s, err := Named(name)
		require.NoError(t, err)
		var got string
		for _, f := range strings.Fields(fields) {
			got += string(fact(t, s, s.Sizes[0], AsPublished, "recipe."+f).Status[0])
		}
		require.Equal(t, want, got, "%s: %s", name, fields)
	}
}

func fact(t *testing.T, s System, size Size, c Choice, field string) Fact {
	t.Helper()
	facts, err := s.Facts(size, c)
	require.NoError(t, err)
	for _, f := range facts {
		if f.Field == field {
			return f
		}
	}
	require.Fail(t, "no fact", field)
	return Fact{}
}

func TestFacts(t *testing.T) {
	for _, c := range []struct {
		system, size string
		choice       Choice
		field, value string
		status       Status
		source       string
	}{
		{"gpt2", "124M", AsPublished, "recipe.weight_decay", "0.1", Default, "nanoGPT"},
		{"gpt2", "124M", AsClaimed, "recipe.weight_decay", "0.01", Claimed, "unpublished"},
		{"gpt2", "124M", AsPublished, "model.embedding_dropout", "0", Default, "GPT-1"},
		{"gpt3", "175B", AsPublished, "recipe.weight_decay", "0.1", Published, "appendix B"},
		{"gpt3", "175B", AsPublished, "model.heads", "96", Published, "table 2.1"},
		{"gpt3", "1.3B", AsPublished, "model.heads", "16", Derived, "24 heads"},
		{"gpt3", "13B", AsPublished, "model.channels", "5120", Derived, "5140"},
		{"gpt3", "13B", AsPublished, "model.windows", "[0 256]", Default, "GPT-Neo"},
		{"palm", "540B", AsPublished, "recipe.beta2", "1 - k^-0.8 at step k", Published, "section 5"},
		{"palm", "540B", AsPublished, "recipe.policy", "decay_all", Derived, "t5x"},
		{"palm", "540B", AsPublished, "model.z_loss", "0.0001", Published, "section 5"},
		{"palm", "540B", AsPublished, "model.residual_dropout", "0", Published, "section 5"},
		{"palm", "540B", AsClaimed, "recipe.optimizer", "adamw", Claimed, "wrong"},
		{"palm", "540B", AsPublished, "optimizer.parameter_scaling", "lr times RMS(p)", Published, "section 5"},
		{"palm", "540B", AsPublished, "optimizer.parameter_scaling_floor", "RMS(p) >= 0.001", Default, "t5x"},
		{"palm", "540B", AsPublished, "optimizer.update_clip", "RMS(update) <= 1", Default, "PaLM does not say"},
		{"palm", "540B", AsClaimed, "recipe.lr", "0.00015", Default, "LLaMA"},
		{"llama2", "7B", AsPublished, "recipe.eps", "1e-05", Published, "1e-5"},
		{"llama2", "70B", AsPublished, "model.kv_heads", "8", Published, "grouped-query"},
		{"llama2", "7B", AsPublished, "model.kv_heads", "heads", Published, "llama/model.py"},
		{"grok-1", "314B", AsPublished, "model.pad_token", "0", Published, "xai-org"},
		{"gpt3", "175B", AsPublished, "model.channels", "12288", Published, "from memory; the number of parameters matches"},
		{"gpt3", "175B", AsPublished, "model.context", "2048", Published, "from memory"},
		{"gpt3", "175B", AsPublished, "model.vocab", "50257", Derived, "from memory"},
		{"gpt3", "175B", AsPublished, "recipe.lr", "6e-05", Published, "from memory"},
		{"gpt3", "175B", AsPublished, "recipe.batch_tokens", "3200000", Published, "32k tokens"},
		{"mixtral", "8x22B", AsPublished, "model.layers", "56", Published, "from memory"},
		{"mixtral", "8x22B", AsPublished, "model.rope_theta", "1e+06", Published, "from memory"},
		{"mixtral", "8x7B", AsPublished, "model.norm_eps", "1e-05", Published, "e3a64e4 moe_one_file_ref.py"},
		{"mixtral", "8x7B", AsPublished, "model.logit_scale", "1", Published, "e3a64e4 moe_one_file_ref.py"},
		{"mistral", "7B", AsPublished, "model.norm_eps", "1e-05", Published, "c18d5b9 one_file_ref.py"},
		{"mixtral", "8x7B", AsPublished, "model.router_loss_coef", "0.02", Default, "Hugging Face"},
	} {
		s, err := Named(c.system)
		require.NoError(t, err)
		size, err := s.Size(c.size)
		require.NoError(t, err)
		f := fact(t, s, size, c.choice, c.field)
		name := fmt.Sprintf("%s %s, %v: %s", c.system, c.size, c.choice, c.field)
		require.Equal(t, c.value, f.Value, name)
		require.Equal(t, c.status, f.Status, name)
		require.Contains(t, f.Source, c.source, name)
	}
}

func TestNoOneHasStochasticDepth(t *testing.T) {
	for _, s := range Systems() {
		for _, size := range s.Sizes {
			require.Zero(t, size.Config.StochasticDepth)
		}
	}
}

func TestClaims(t *testing.T) {
	verdicts := map[string]Verdict{}
	for _, s := range Systems() {
		verdicts[s.Name] = s.Claim.Verdict
		require.NotEmpty(t, s.Claim.Source)
		want := 0.1
		if s.Name == "gpt2" {
			want = 0.01
		}
		require.Equal(t, want, s.Claim.WeightDecay, s.Name)
	}
	require.Equal(t, map[string]Verdict{
		"gpt2": Unpublished, "gpt3": Right, "llama": Partly, "llama2": Partly, "palm": Wrong,
		"grok-1": FalseSource, "mistral": Unpublished, "mixtral": Unpublished,
	}, verdicts)
}
