package presets

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pkg/errors"
)

// Status says how a number is known.
type Status string

// The statuses.
const (
	Published Status = "published"   // in the paper, or in code or weights that the authors released
	Derived   Status = "derived"     // follows from what is published
	Default   Status = "our default" // nobody published it; the source says what it was taken from
	Claimed   Status = "claimed"     // circulates without a source, see [Claim]
)

// Fact is a field of a model or a recipe, its value, and where that is from.
type Fact struct {
	// Field is its path in the JSON of an [Experiment], as "model.norm_eps" or
	// "recipe.beta1"; "optimizer.x" is what the optimizer does besides.
	Field  string `json:"field"`
	Value  string `json:"value"`
	Status Status `json:"status"`
	Source string `json:"source"` // section of the paper, file at a commit, or what was looked through in vain
}

// cite gives the status and source of fields, separated by spaces. It has no
// values: those are in Config and Recipe, so they cannot disagree.
type cite struct {
	fields string
	status Status
	source string
}

// fromMemory marks sizes of which no copy could be read again.
const fromMemory = " (from memory; the number of parameters matches)"

// Fields of which all systems say the same.
var everywhere = []cite{
	{"layout", Default, "how gorget names and stores the weights, after Hugging Face; no result depends on it"},
	{"recompute", Default, "what is stored for the backward pass and what is computed again; no result depends on it"},
	{"stochastic_depth", Default, "none: no paper and no code of these systems has it"},
}

const scheduleFields = " schedule.shape schedule.warmup schedule.hold schedule.steps schedule.floor "

// torchMode is why lambda is multiplied by the learning rate.
var torchMode = cite{"mode", Default, "not stated; PyTorch's convention, lambda times the learning rate"}

// constantDecay: no system is known to change lambda over a run.
var constantDecay = cite{"decay_schedule", Default, "not stated; constant"}

// claimed is a recipe with the weight decay that circulates.
func claimed(r Recipe, c Claim) Recipe {
	r.Optimizer, r.Policy, r.WeightDecay = AdamW, "gpt2", c.WeightDecay
	return r
}

// said cites what makes a recipe the claimed one.
func (c Claim) said() []cite {
	return []cite{{"optimizer policy weight_decay", Claimed,
		fmt.Sprintf("commonly said: %s; looked for in what was published: %s", c.Says, c.Verdict)}}
}

// Facts lists every field of the model of a size and of its recipe, each once,
// and what the recipe's optimizer does that is no field of it.
func (s System) Facts(size Size, c Choice) ([]Fact, error) {
	r, err := size.RecipeFor(c)
	if err != nil {
		return nil, err
	}
	replaced := [][]cite{size.exceptions}
	if c == AsClaimed {
		replaced = append(replaced, s.said)
	}
	var facts []Fact
	for _, part := range []struct {
		prefix string
		value  any
		cites  []cite
	}{{"model.", size.Config, s.model}, {"recipe.", r, s.recipe}} {
		for _, l := range leaves("", reflect.ValueOf(part.value)) {
			ct, ok := find(l.field, append(replaced, part.cites)...)
			if !ok {
				return nil, errors.Errorf("presets: %s: no source for %s%s", s.Name, part.prefix, l.field)
			}
			facts = append(facts, Fact{part.prefix + l.field, l.text(), ct.status, ct.source})
		}
	}
	if r.Optimizer == Adafactor {
		facts = append(facts, adafactorFacts...)
	}
	return facts, nil
}

// adafactorFacts is what solvers.NewAdafactor does by its defaults.
var adafactorFacts = []Fact{
	{"optimizer.parameter_scaling", "lr times RMS(p)", Published, "section 5: the learning rate is scaled by the root mean square of the parameter"},
	{"optimizer.parameter_scaling_floor", "RMS(p) >= 0.001", Default, "PaLM does not say; google-research/t5x@cc342d4 adafactor.py"},
	{"optimizer.update_clip", "RMS(update) <= 1", Default, "PaLM does not say; the default of google-research/t5x@cc342d4 adafactor.py"},
	{"optimizer.momentum", "of the update times lr, without bias correction", Default, "PaLM does not say; google-research/t5x@cc342d4 adafactor.py"},
}

// find is the citation of a field in the first list that has one.
func find(field string, lists ...[]cite) (cite, bool) {
	for _, list := range lists {
		for _, c := range list {
			for _, f := range strings.Fields(c.fields) {
				if f == field {
					return c, true
				}
			}
		}
	}
	return cite{}, false
}

// leaf is a field that is no struct, with its path in JSON.
type leaf struct {
	field string
	value reflect.Value
}

func leaves(prefix string, v reflect.Value) []leaf {
	var out []leaf
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			out = append(out, leaves(prefix+name+".", f)...)
		} else {
			out = append(out, leaf{prefix + name, f})
		}
	}
	return out
}

// zeroMeans says what 0 stands for in those fields of the presets where it is
// not a number.
var zeroMeans = map[string]string{
	"kv_heads": "heads", "head_size": "channels/heads", "hidden": "4 channels", "rope_theta": "none",
	"attention_scale": "1/sqrt(head_size)", "attention_soft_cap": "none", "windows": "all keys", "pad_token": "none",
	"experts": "none", "top_k": "none", "router": "none", "router_loss_coef": "none",
	"embedding_scale": "1", "logit_scale": "1", "logit_soft_cap": "none", "z_loss": "none",
	"init.std": "none", "init.embedding_std": "init.std", "init.position_std": "none",
	"decay_schedule": "constant", "schedule.warmup": "none", "schedule.hold": "none", "schedule.steps": "none",
	"beta2": "1 - k^-0.8 at step k", "eps": "1e-30, on g^2",
}

func (l leaf) text() string {
	if means, ok := zeroMeans[l.field]; ok && l.value.IsZero() {
		return means
	}
	v := l.value
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return fmt.Sprint(v.Interface())
}
