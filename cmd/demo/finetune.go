package main

import (
	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/dataset/bpe"
	"github.com/gorget/gorget/solvers"
)

// modelTokenizer is the value of -tokenizer for the one that lies with -model.
const modelTokenizer = "model"

// useModel makes the experiment the fine-tuning of a model's folder: gentler and
// shorter than training from nothing.
func (o *options) useModel(dir string) error {
	c, err := hf.ReadConfig(dir)
	if err != nil {
		return errors.WithMessage(err, "-model")
	}
	const steps = 200
	e := &o.Exp
	o.Model, o.Tokenizer = dir, modelTokenizer
	e.Config, e.Time, e.Batch, e.Steps = c, min(c.Context, 256), 4, steps
	e.Recipe.LR, e.Recipe.Schedule = 1e-4, solvers.WarmupCosine(steps/10, steps, 0.1)
	e.Recipe.Beta2 = 0.95
	return nil
}

// loadWeights takes the initial weights from the model's folder, if there is
// one.
func (j *job) loadWeights() error {
	if j.o.Model == "" {
		return nil
	}
	return errors.WithMessage(hf.Load(j.model.params, j.o.Model), "-model")
}

// tokenizer makes the tokenizer of the options for a text.
func (o *options) tokenizer(text string) (dataset.Tokenizer, error) {
	switch {
	case o.Tokenizer == "" || o.Tokenizer == "char":
		return dataset.NewChars(text)
	case o.Tokenizer == modelTokenizer:
		tok, err := (&source{model: o.Model}).findTokenizer(o.Exp.Config)
		if err == nil && tok == nil {
			err = errors.Wrapf(errNoTokenizer, "no tokenizer lies in %s, name one with -tokenizer", o.Model)
		}
		return tok, err
	}
	return (&source{tokenizer: o.Tokenizer}).findTokenizer(o.Exp.Config)
}

var errNoTokenizer = errors.New("it is needed for text")

// tokenizerKnown reports whether name can be a tokenizer: a kind or a file.
func tokenizerKnown(name string) bool {
	return name == "" || name == "char" || name == bpe.Kind || exists(name)
}

// checkTokenizer refuses the tokenizer of a prepared folder if the options name
// another one.
func (o *options) checkTokenizer(tok dataset.Tokenizer) error {
	if o.Tokenizer == "" || o.Tokenizer == tok.Kind() {
		return nil
	}
	refused := errors.Errorf("%s was prepared with the tokenizer %s of %d tokens, which is not -tokenizer %s", o.Data, tok.Kind(), tok.Vocab(), o.Tokenizer)
	if o.Tokenizer == "char" {
		return refused
	}
	want, err := o.tokenizer("")
	if errors.Is(err, errNoTokenizer) {
		return nil
	}
	if err == nil && (want.Kind() != tok.Kind() || want.Vocab() != tok.Vocab()) {
		err = refused
	}
	return err
}
