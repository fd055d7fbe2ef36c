package presets_test

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/presets"
)

// counts are the numbers of parameters that were published, or found by others
// from the published sizes, in 1e9, with all digits given. GPT-3's 13B is
// apart, see TestTrapGPT3Table.
var counts = map[string]string{
	"gpt2 124M": "0.1244", "gpt2 355M": "0.3548", "gpt2 774M": "0.7740", "gpt2 1558M": "1.5576",
	"gpt3 125M": "0.1252", "gpt3 350M": "0.3559", "gpt3 760M": "0.7603", "gpt3 1.3B": "1.316",
	"gpt3 2.7B": "2.652", "gpt3 6.7B": "6.658", "gpt3 13B": "12.85", "gpt3 175B": "174.6",
	"llama 7B": "6.738", "llama 13B": "13.016", "llama 33B": "32.529", "llama 65B": "65.286",
	"llama2 7B": "6.738", "llama2 13B": "13.016", "llama2 70B": "68.977",
	"palm 8B": "8.632", "palm 62B": "62.496", "palm 540B": "540.356",
	"grok-1 314B": "315.68", "mistral 7B": "7.242", "mixtral 8x7B": "46.70", "mixtral 8x22B": "140.6",
}

func TestNumParamsEqualThePublished(t *testing.T) {
	seen := 0
	for _, s := range presets.Systems() {
		last := 0
		for _, size := range s.Sizes {
			name := s.Name + " " + size.Name
			want := counts[name]
			require.NotEmpty(t, want, name)
			seen++
			n := size.Config.NumParams()
			_, digits, _ := strings.Cut(want, ".")
			require.Equal(t, want, fmt.Sprintf("%.*f", len(digits), float64(n)/1e9), name)
			require.Equal(t, size.Params, n, name)
			require.GreaterOrEqual(t, n, last, "%s: sizes ascend", name)
			last = n
		}
		require.Equal(t, s.Largest().Params, last)
	}
	require.Len(t, counts, seen)
	active := func(system, size string) float64 {
		s, err := presets.Named(system)
		require.NoError(t, err)
		z, err := s.Size(size)
		require.NoError(t, err)
		return float64(z.Config.NumActiveParams()) / 1e9
	}
	require.InDelta(t, 12.88, active("mixtral", "8x7B"), 0.005)
	require.InDelta(t, 39, active("mixtral", "8x22B"), 0.5)
	require.InDelta(t, 83.8, active("grok-1", "314B"), 0.05)
}

func mustSize(t *testing.T, s presets.System, name string) presets.Size {
	t.Helper()
	size, err := s.Size(name)
	require.NoError(t, err)
	return size
}

func TestNamedErrorsListTheNames(t *testing.T) {
	_, err := presets.Named("gpt4")
	require.EqualError(t, err, `presets: system = "gpt4", want one of [gpt2 gpt3 palm llama llama2 mistral mixtral grok-1]`)
	_, err = presets.PaLM().Size("7B")
	require.EqualError(t, err, `presets: size of palm = "7B", want one of [8B 62B 540B]`)
	_, err = presets.GPT2().Sizes[0].RecipeFor("rumoured")
	require.EqualError(t, err, `presets: recipe = "rumoured", want "published" or "claimed"`)
	var c presets.Choice
	require.Error(t, c.UnmarshalText([]byte("")))
	_, err = presets.GPT2().Experiment(65, 0, presets.AsPublished)
	require.EqualError(t, err, "presets: steps = 0, want >= 1")
	_, err = presets.GPT2().Experiment(0, 10, presets.AsPublished)
	require.ErrorContains(t, err, "vocab = 0")
	_, err = presets.GPT2().Sizes[0].Report(presets.AsPublished, "mine")
	require.ErrorContains(t, err, `policy = "mine"`)
}

// dimensions are the fields in which a tiny variant may differ from the
// published sizes, which also differ in them or compute them from others.
var dimensions = []string{"Vocab", "Context", "Layers", "Channels", "Heads", "KVHeads", "HeadSize", "Hidden",
	"Windows", "PadToken", "EmbeddingScale", "LogitScale"}

func TestTinyHasTheStructure(t *testing.T) {
	for _, s := range presets.Systems() {
		t.Run(s.Name, func(t *testing.T) {
			tiny, size := s.Tiny(65), s.Largest().Config
			require.NoError(t, tiny.Validate())
			require.Less(t, tiny.NumParams(), 600_000)
			require.Greater(t, tiny.NumParams(), 200_000)
			require.Len(t, tiny.Windows, len(size.Windows))
			for i := range tiny.Windows {
				require.Equal(t, size.Windows[i] > 0, tiny.Windows[i] > 0)
				require.Less(t, tiny.Windows[i], tiny.Context)
			}
			require.Equal(t, size.KVHeads == 0, tiny.KVHeads == 0, "multi-head or not")
			require.Equal(t, size.KVHeads == 1, tiny.KVHeads == 1, "multi-query or grouped")
			require.Equal(t, size.HeadSize == 0 || size.HeadSize*size.Heads == size.Channels,
				tiny.HeadSize == 0 || tiny.HeadSize*tiny.Heads == tiny.Channels)
			a, b := reflect.ValueOf(&tiny).Elem(), reflect.ValueOf(&size).Elem()
			if s.Name == "llama" {
				b.FieldByName("NormEps").SetFloat(1e-6) // 65B alone has 1e-5
			}
			for _, f := range dimensions {
				a.FieldByName(f).SetZero()
				b.FieldByName(f).SetZero()
			}
			require.Equal(t, size, tiny)
		})
	}
}

func TestFitFollowsTheChannels(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, size := range s.Sizes {
			if s.Name == "llama2" && size.Name == "70B" {
				continue // its width has a factor of its own
			}
			require.Equal(t, size.Config, s.Fit(size.Config), "%s %s", s.Name, size.Name)
		}
	}
	c := presets.PaLM().Tiny(65)
	c.Channels = 400
	require.Equal(t, 1./20, presets.PaLM().Fit(c).LogitScale)
	c = presets.Grok1().Tiny(65)
	c.Channels = 400
	require.Equal(t, 20., presets.Grok1().Fit(c).EmbeddingScale)
	c = presets.Llama().Tiny(65)
	c.Channels = 5120
	require.Equal(t, 13824, presets.Llama().Fit(c).Hidden)
	require.InDelta(t, 78.38367176906169, presets.Grok1().Largest().Config.EmbeddingScale, 1e-13)
}

func TestRecipes(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, size := range s.Sizes {
			name := s.Name + " " + size.Name
			for _, r := range []presets.Recipe{size.Recipe, size.Claimed} {
				require.NoError(t, r.Validate(), name)
				require.Positive(t, r.BatchTokens, name)
				require.GreaterOrEqual(t, r.TrainSteps, r.Schedule.Steps-1, name)
			}
			require.Equal(t, presets.AdamW, size.Claimed.Optimizer, name)
			require.Equal(t, "gpt2", size.Claimed.Policy, "%s: norms and biases are exempt", name)
			require.Equal(t, s.Claim.WeightDecay, size.Claimed.WeightDecay, name)
		}
	}
	r := mustSize(t, presets.GPT3(), "175B").Recipe
	require.Equal(t, 0.6e-4, r.LR)
	require.Equal(t, []int{117, 81250, 93750}, []int{r.Schedule.Warmup, r.Schedule.Steps, r.TrainSteps}, "375M, 260B and 300B tokens of 3.2M")
	r = mustSize(t, presets.Llama2(), "70B").Recipe
	require.Equal(t, []float64{1.5e-4, 1e-5, 0.1, 0.95}, []float64{r.LR, r.Eps, r.WeightDecay, r.Beta2})
	require.Equal(t, []int{2000, 500000}, []int{r.Schedule.Warmup, r.Schedule.Steps}, "2T tokens of 4M")

	palm := presets.PaLM().Largest().Recipe
	require.Equal(t, presets.Adafactor, palm.Optimizer)
	for step, lr := range map[int]float64{1: 1e-2, 10000: 1e-2, 40000: 1 / math.Sqrt(40000), 255000: 1 / math.Sqrt(255000)} {
		require.InEpsilon(t, lr, palm.LR*palm.Schedule.At(step), 1e-12, "step %d", step)
	}
}

func TestScaledKeepsProportions(t *testing.T) {
	r := mustSize(t, presets.Llama(), "7B").Recipe // 2000 of 250000
	half := r.Scaled(125000)
	require.Equal(t, []int{1000, 125000, 125000}, []int{half.Schedule.Warmup, half.Schedule.Steps, half.TrainSteps})
	require.Equal(t, 1, r.Scaled(10).Schedule.Warmup, "a warm-up stays one")
	require.Equal(t, 8, r.Scaled(1000).Schedule.Warmup)
	palm := presets.PaLM().Largest().Recipe.Scaled(2550)
	require.Equal(t, 100, palm.Schedule.Hold)
	require.Zero(t, palm.Schedule.Warmup)
	for _, s := range presets.Systems() {
		for steps := 1; steps < 5; steps++ {
			require.NoError(t, s.Sizes[0].Recipe.Scaled(steps).Validate(), "%s, %d steps", s.Name, steps)
		}
	}
	own := presets.NanoGPTCPU(65).Recipe
	require.Equal(t, own, own.Scaled(7), "without the length of the run")
}

func TestReportOfTheLargestNeedsNoWeights(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, c := range []presets.Choice{presets.AsPublished, presets.AsClaimed} {
			size := s.Largest()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			report, err := size.Report(c, "")
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), "%s: bytes for %d parameters", s.Name, size.Params)
			total := 0
			for _, g := range report.Totals {
				total += g.Count
			}
			require.Equal(t, size.Params, total)
			for _, row := range report.Rows {
				require.NotEmpty(t, row.Why)
				require.NotNil(t, row.Rate)
			}
		}
	}
}
