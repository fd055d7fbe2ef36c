package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/train"
)

// options are everything that decides what a run leaves. They are saved as
// run.json beside it.
type options struct {
	Data      string             `json:"data"`            // a text file or prepared folder; "" is the text that comes with Go
	Tokenizer string             `json:"tokenizer"`       // "char", "gpt2", "model" or a file; "" is that of a prepared folder, or char
	Model     string             `json:"model,omitempty"` // the folder whose weights are fine-tuned
	Seed      uint64             `json:"seed"`
	Exp       presets.Experiment `json:"experiment"`
	Loop      train.Config       `json:"loop"`
	EvalTok   int                `json:"eval_tokens,omitempty"` // of the validation text; 0 is all
	Preset    string             `json:"preset,omitempty"`      // the system that the experiment is a tiny variant of
	Choice    presets.Choice     `json:"recipe,omitempty"`      // of the preset
	Keep      int                `json:"keep"`                  // checkpoints
	Figures   string             `json:"figures"`
	Sample    int                `json:"sample"` // tokens at the end

	cli
}

// freeOptions are those that a resumed run may change: no number depends on
// them.
var freeOptions = []string{"keep", "figures", "sample"}

// cli are options of one command line, which are not saved.
type cli struct {
	minLR   float64
	json    bool
	verbose bool
	given   map[string]bool // the flags that were
}

func defaultOptions() options {
	return options{
		Seed: 1337, Exp: presets.NanoGPTCPU(1),
		Loop: train.Config{EvalEvery: 250, InspectEvery: 100, SaveEvery: 250},
		Keep: 2, Figures: "png", Sample: 400,
	}
}

// parseOptions reads the flags of a command that trains. declare adds flags of
// the command's own; base is what the flags change, and is asked for when the
// command's own are known.
func parseOptions(name string, args []string, help io.Writer, declare func(*flag.FlagSet), base func() (options, error)) (options, error) {
	o := defaultOptions()
	scout := flagSet(name, &options{}, io.Discard)
	declare(scout)
	if scout.Parse(args) == nil {
		var err error
		if o, err = base(); err != nil {
			return o, err
		}
	}
	fs := flagSet(name, &o, help)
	declare(fs)
	before := o.Exp
	if err := parseFlags(fs, args); err != nil {
		return o, err
	}
	o.given = map[string]bool{}
	fs.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if err := o.settle(before, o.given); err != nil {
		return o, err
	}
	return o, o.validate()
}

// start is what a new run starts from.
type start struct {
	config, model, preset string
	choice                presets.Choice
}

func (st *start) flags(fs *flag.FlagSet) {
	fs.StringVar(&st.config, "config", st.config, "a run.json to start from; flags override it")
	fs.StringVar(&st.preset, "preset", st.preset, "a system to train a tiny variant of: "+strings.Join(presetNames(), ", "))
	fs.TextVar(&st.choice, "recipe", st.choice, "of the preset: published (default), or claimed, which is AdamW with the weight decay that circulates")
	fs.StringVar(&st.model, "model", st.model, "a model's folder (config.json and model.safetensors) to fine-tune; other flags then have other defaults")
}

// options are o with what the run starts from.
func (st *start) options(o options) (options, error) {
	named := 0
	for _, s := range []string{st.config, st.model, st.preset} {
		if s != "" {
			named++
		}
	}
	var err error
	switch {
	case named > 1:
		err = usagef("-config, -model and -preset exclude each other")
	case st.choice != "" && st.preset == "":
		err = usagef("-recipe needs a -preset")
	case st.config != "":
		err = o.load(st.config)
	case st.model != "":
		err = o.useModel(st.model)
	case st.preset != "":
		err = o.usePreset(st.preset, st.choice)
	}
	return o, err
}

// flagSet declares the flags. Their defaults are what o holds.
func flagSet(name string, o *options, help io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(help)
	c, r, e, l := &o.Exp.Config, &o.Exp.Recipe, &o.Exp, &o.Loop
	fs.StringVar(&o.Data, "data", o.Data, "text file to train on, or a folder made by the prepare command (default: the text of Newton's Opticks that comes with Go)")
	fs.StringVar(&o.Tokenizer, "tokenizer", o.Tokenizer, "char (default), gpt2 for GPT-2's byte-pair encoding, model for the one that lies with -model (default with it), a tokenizer file that gorget wrote, or a vocabulary file of llama2.c (.bin)")
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "of the initial weights, the batches and dropout")
	fs.IntVar(&o.EvalTok, "eval-tokens", o.EvalTok, "tokens of the validation text to use; 0 is all")
	fs.IntVar(&l.SaveEvery, "save-every", l.SaveEvery, "steps between checkpoints; one is made after each validation that is the best yet and at the end too")
	fs.StringVar(&o.Figures, "figures", o.Figures, "format of the figures: png or svg")
	fs.IntVar(&o.Keep, "keep", o.Keep, "checkpoints to keep, beside the best")
	fs.IntVar(&o.Sample, "sample", o.Sample, "tokens to generate at the end")
	fs.BoolVar(&o.json, "json", o.json, "write JSON to the standard output, an object a line")
	fs.BoolVar(&o.verbose, "v", o.verbose, "show every parameter in the group report")

	fs.IntVar(&c.Layers, "layers", c.Layers, "number of blocks")
	fs.IntVar(&c.Heads, "heads", c.Heads, "attention heads")
	fs.IntVar(&c.Channels, "channels", c.Channels, "width of the residual stream")
	fs.IntVar(&e.Time, "context", e.Time, "tokens a sequence")
	fs.BoolVar(&c.Bias, "bias", c.Bias, "biases in linear layers and norms")
	fs.Float64Var(&c.ResidualDropout, "dropout", c.ResidualDropout, "dropout of embedding, attention and residual branches")
	fs.Float64Var(&c.StochasticDepth, "stochastic-depth", c.StochasticDepth, "probability of dropping a branch of the last layer")

	fs.BoolVar(&c.Recompute, "recompute", c.Recompute, "compute each block again in the backward pass instead of keeping its activations: slower, less memory")

	fs.IntVar(&e.Batch, "batch", e.Batch, "sequences a micro-batch")
	fs.IntVar(&e.Micro, "micro", e.Micro, "micro-batches a step")
	fs.IntVar(&e.Steps, "steps", e.Steps, "optimizer steps")
	fs.StringVar(&r.Policy, "policy", r.Policy, "which parameters decay: gpt2, mingpt, megatron, gpt1, decay_all or decay_none")
	fs.Float64Var(&r.LR, "lr", r.LR, "peak learning rate")
	fs.Float64Var(&o.minLR, "min-lr", r.LR*r.Schedule.Floor, "learning rate at the end; unless given, it stays the same share of -lr")
	fs.IntVar(&r.Schedule.Warmup, "warmup", r.Schedule.Warmup, "steps of linear warm-up; at most a tenth of -steps unless given")
	fs.Float64Var(&r.WeightDecay, "weight-decay", r.WeightDecay, "lambda")
	fs.TextVar(&r.Mode, "mode", r.Mode, "what lambda is multiplied by: lr_coupled, independent or corrected")
	fs.Float64Var(&r.Beta1, "beta1", r.Beta1, "decay rate of the first moment")
	fs.Float64Var(&r.Beta2, "beta2", r.Beta2, "decay rate of the second moment")
	fs.Float64Var(&r.Eps, "eps", r.Eps, "added to the root of the second moment")
	fs.Float64Var(&r.Clip, "clip", r.Clip, "largest global gradient norm; 0 is no clipping")

	fs.IntVar(&l.EvalEvery, "eval-every", l.EvalEvery, "steps between validations")
	fs.IntVar(&l.InspectEvery, "inspect-every", l.InspectEvery, "steps between looks at norms and update ratios; 0 is never")
	fs.IntVar(&l.Patience, "patience", l.Patience, "end after so many validations without progress; 0 is never")
	fs.Float64Var(&l.EMA, "ema", l.EMA, "factor of the averaged weights that are validated; 0 is none")
	fs.Float64Var(&l.OutlierZ, "outlier-z", l.OutlierZ, "skip steps whose loss or gradient norm is so many deviations above normal; 0 is never")
	fs.Func("non-finite", "refuse (default) or skip steps whose loss or gradient is NaN or infinite", func(s string) error {
		l.NonFinite = train.OnBad(s)
		return nil
	})
	return fs
}

// settle makes the parts agree that several flags decide together.
func (o *options) settle(before presets.Experiment, given map[string]bool) error {
	e, r := &o.Exp, &o.Exp.Recipe
	if o.Preset != "" {
		if err := o.settlePreset(given); err != nil {
			return err
		}
	} else if given["steps"] {
		// Schedules end relative to the run, one step after it in nanoGPT's.
		r.Schedule.Steps += e.Steps - before.Steps
		if d := r.DecaySchedule; d != nil && d.Steps > 0 {
			longer := *d
			longer.Steps += e.Steps - before.Steps
			r.DecaySchedule = &longer
		}
		if !given["warmup"] {
			r.Schedule.Warmup = min(r.Schedule.Warmup, (e.Steps+9)/10)
		}
	}
	if given["min-lr"] && r.LR != 0 {
		r.Schedule.Floor = o.minLR / r.LR
	}
	if given["context"] && o.Model == "" {
		e.Config.Context = e.Time
	}
	if given["bias"] {
		e.Config.NormBias = e.Config.Bias && e.Config.Norm == gptblock.NormLayer
	}
	if given["dropout"] {
		e.Config.EmbeddingDropout, e.Config.AttentionDropout = e.Config.ResidualDropout, e.Config.ResidualDropout
	}
	o.Loop.Steps, o.Loop.Micro = e.Steps, e.Micro
	return nil
}

// validate refuses what cannot be trained, before anything is read or made.
func (o *options) validate() error {
	c := o.Exp.Config
	c.Vocab = max(c.Vocab, 1) // known only when the text is read
	for _, err := range []error{c.Validate(), o.Exp.Recipe.Validate(), o.Loop.Validate()} {
		if err != nil {
			return usagef("%v", err)
		}
	}
	switch {
	case o.Tokenizer == modelTokenizer && o.Model == "":
		return usagef("-tokenizer model goes with -model")
	case o.Tokenizer != modelTokenizer && !tokenizerKnown(o.Tokenizer):
		return usagef("-tokenizer = %q, want char, gpt2, model or a file", o.Tokenizer)
	case o.Exp.Batch < 1:
		return usagef("-batch = %d, want >= 1", o.Exp.Batch)
	case o.Exp.Micro < 1:
		return usagef("-micro = %d, want >= 1", o.Exp.Micro)
	case o.Exp.Time < 1 || o.Exp.Time > c.Context:
		return usagef("-context = %d, want 1 to the model's %d", o.Exp.Time, c.Context)
	case o.Figures != "png" && o.Figures != "svg":
		return usagef("-figures = %q, want png or svg", o.Figures)
	case o.Keep < 1:
		return usagef("-keep = %d, want >= 1", o.Keep)
	case o.EvalTok < 0:
		return usagef("-eval-tokens = %d, want >= 0", o.EvalTok)
	case o.Sample < 0:
		return usagef("-sample = %d, want >= 0", o.Sample)
	}
	return nil
}

func (o *options) load(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return errors.Wrap(err, "options of a run")
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(b, &sections); err != nil {
		return errors.Wrap(err, path)
	}
	// What a section leaves out is zero, not what o has.
	if sections["experiment"] != nil {
		o.Exp = presets.Experiment{}
	}
	if sections["loop"] != nil {
		o.Loop = train.Config{}
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return errors.Wrap(dec.Decode(o), path)
}
