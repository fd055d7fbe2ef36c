package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/dataset/bpe"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/train"
)

// options are everything that decides the numbers of a run. They are saved as
// run.json beside it.
type options struct {
	Data      string             `json:"data"`            // a text file or prepared folder; "" is the text that comes with Go
	Tokenizer string             `json:"tokenizer"`       // "char", "gpt2", "model" or a file
	Model     string             `json:"model,omitempty"` // the folder whose weights are fine-tuned
	Seed      uint64             `json:"seed"`
	Exp       presets.Experiment `json:"experiment"`
	Loop      train.Config       `json:"loop"`
	EvalTok   int                `json:"eval_tokens,omitempty"` // of the validation text; 0 is all
	Preset    string             `json:"preset,omitempty"`      // the system that the experiment is a tiny variant of
	Choice    presets.Choice     `json:"recipe,omitempty"`      // of the preset

	out     string
	minLR   float64
	keep    int // checkpoints
	figures string
	json    bool
	verbose bool
	compare bool
	sample  int
}

func defaultOptions() options {
	return options{
		Tokenizer: "char", Seed: 1337, Exp: presets.NanoGPTCPU(1),
		Loop: train.Config{EvalEvery: 250, InspectEvery: 100},
		keep: 2, figures: "png", sample: 400,
	}
}

// parseOptions reads the flags of a command that trains, on top of base. A
// -config file or a -preset comes before the flags, whatever their order. extra
// declares flags of the command's own.
func parseOptions(name string, base options, args []string, help io.Writer, extra func(*flag.FlagSet)) (options, error) {
	o := base
	var file string
	var first options
	scout := flagSet(name, &first, &file, io.Discard)
	extra(scout)
	if scout.Parse(args) == nil {
		var err error
		switch {
		case file != "" && first.Preset != "":
			err = usagef("-preset and -config exclude each other")
		case file != "" && first.Choice == "":
			err = o.load(file)
		case first.Model != "" && first.Preset != "":
			err = usagef("-model and -preset exclude each other")
		case first.Model != "":
			err = o.useModel(first.Model)
		case first.Preset != "":
			err = o.usePreset(first.Preset, first.Choice)
		case first.Choice != "":
			err = usagef("-recipe needs a -preset")
		}
		if err != nil {
			return o, err
		}
	}
	fs := flagSet(name, &o, &file, help)
	extra(fs)
	before := o.Exp
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usagef("%v", err)
	}
	if fs.NArg() > 0 {
		return o, usagef("unexpected argument %q, want flags only", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := o.settle(before, given); err != nil {
		return o, err
	}
	return o, o.validate()
}

// noFlags is for commands without flags of their own.
func noFlags(*flag.FlagSet) {}

// flagSet declares the flags. Their defaults are what o holds.
func flagSet(name string, o *options, file *string, help io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(help)
	c, r, e, l := &o.Exp.Config, &o.Exp.Recipe, &o.Exp, &o.Loop
	fs.StringVar(file, "config", "", "a run.json to start from; flags override it")
	fs.StringVar(&o.Preset, "preset", o.Preset, "a system to train a tiny variant of: "+strings.Join(presetNames(), ", "))
	fs.TextVar(&o.Choice, "recipe", o.Choice, "of the preset: published (default), or claimed, which is AdamW with the weight decay that circulates")
	fs.StringVar(&o.Data, "data", o.Data, "text file to train on, or a folder made by the prepare command (default: the text of Newton's Opticks that comes with Go)")
	fs.StringVar(&o.Model, "model", o.Model, "a model's folder (config.json and model.safetensors) to fine-tune; other flags then have other defaults")
	fs.StringVar(&o.Tokenizer, "tokenizer", o.Tokenizer, "char, gpt2 for GPT-2's byte-pair encoding, model for the one that lies with -model, a tokenizer.json that gorget wrote, or a vocabulary file of llama2.c (.bin)")
	fs.StringVar(&o.out, "out", o.out, "folder for the results (default: a new one under the system's temporary folder)")
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "of the initial weights, the batches and dropout")
	fs.IntVar(&o.EvalTok, "eval-tokens", o.EvalTok, "tokens of the validation text to use; 0 is all")
	fs.IntVar(&l.SaveEvery, "save-every", l.SaveEvery, "steps between checkpoints; one is made at the best validation losses and at the end too")
	fs.StringVar(&o.figures, "figures", o.figures, "format of the figures: png or svg")
	fs.IntVar(&o.keep, "keep", o.keep, "checkpoints to keep")
	fs.IntVar(&o.sample, "sample", o.sample, "tokens to generate at the end")
	fs.BoolVar(&o.json, "json", o.json, "write JSON to the standard output, an object a line")
	fs.BoolVar(&o.verbose, "v", o.verbose, "show every parameter in the group report")
	fs.BoolVar(&o.compare, "compare", o.compare, "train three times: stock Adam + L2, AdamW that decays everything, AdamW with groups")

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
	fs.Float64Var(&o.minLR, "min-lr", r.LR*r.Schedule.Floor, "learning rate at the end")
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
	case o.compare && o.Model != "":
		return usagef("-compare trains new models, it does not go with -model")
	case o.compare && o.Exp.Recipe.Optimizer != presets.AdamW:
		return usagef("-compare is about AdamW, and %s was trained by %s; there is -recipe claimed", o.Preset, o.Exp.Recipe.Optimizer)
	case o.Tokenizer != "char" && o.Tokenizer != bpe.Kind && o.Tokenizer != modelTokenizer && !exists(o.Tokenizer):
		return usagef("-tokenizer = %q, want char, gpt2, model or a file", o.Tokenizer)
	case o.Exp.Batch < 1:
		return usagef("-batch = %d, want >= 1", o.Exp.Batch)
	case o.Exp.Micro < 1:
		return usagef("-micro = %d, want >= 1", o.Exp.Micro)
	case o.Exp.Time < 1 || o.Exp.Time > c.Context:
		return usagef("-context = %d, want 1 to the model's %d", o.Exp.Time, c.Context)
	case o.figures != "png" && o.figures != "svg":
		return usagef("-figures = %q, want png or svg", o.figures)
	case o.keep < 1:
		return usagef("-keep = %d, want >= 1", o.keep)
	case o.EvalTok < 0:
		return usagef("-eval-tokens = %d, want >= 0", o.EvalTok)
	case o.sample < 0:
		return usagef("-sample = %d, want >= 0", o.sample)
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
