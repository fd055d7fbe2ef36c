package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/dataset/bpe"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// source is where a command takes a trained model from.
type source struct {
	run, model string
	tokenizer  string
	average    bool
}

func (s *source) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.run, "run", "", "folder of a run: its latest checkpoint")
	fs.StringVar(&s.model, "model", "", "folder of a model: config.json and model.safetensors, as Hugging Face lays them out")
	fs.StringVar(&s.tokenizer, "tokenizer", "", "gpt2, a tokenizer.json that gorget wrote, or a vocabulary file of llama2.c (default: that of the run, or what lies in the model's folder)")
	fs.BoolVar(&s.average, "ema", false, "take the averaged weights of the run")
}

func (s *source) check() error {
	switch {
	case (s.run == "") == (s.model == ""):
		return usagef("want -run or -model, one of them")
	case s.average && s.run == "":
		return usagef("-ema goes with -run")
	}
	return nil
}

// trained is a model that was trained before, without dropout.
type trained struct {
	about  string
	params *graph.Params
	gpt    *gptblock.Model
	tok    dataset.Tokenizer // nil: not known
	o      *options          // of its run, nil if there is none
}

// load reads the model. What is odd but no error is told to warn.
func (s *source) load(warn io.Writer) (*trained, error) {
	t := &trained{}
	var err error
	if t.params, err = graph.NewParams(gorgonia.NewGraph(), graph.WithoutInit()); err != nil {
		return nil, err
	}
	if s.run != "" {
		err = t.loadRun(s.run, s.average, warn)
	} else {
		err = t.loadModel(s.model)
	}
	if err != nil {
		return nil, err
	}
	if t.tok, err = s.findTokenizer(t.gpt.Config); err != nil {
		return nil, err
	}
	if t.tok != nil && t.tok.Vocab() > t.gpt.Config.Vocab {
		return nil, errors.Errorf("the tokenizer has %d tokens, want at most %d, the model's vocabulary", t.tok.Vocab(), t.gpt.Config.Vocab)
	}
	return t, nil
}

func (t *trained) loadRun(dir string, average bool, warn io.Writer) error {
	saved, damaged, err := checkpoint.Latest(filepath.Join(dir, "checkpoints"))
	if err != nil {
		return err
	}
	for _, d := range damaged {
		fmt.Fprintln(warn, "passed over:", d)
	}
	t.about = fmt.Sprintf("%s, step %d", dir, saved.Step())
	t.o = new(options)
	if err := saved.Config(t.o); err != nil {
		return err
	}
	if t.gpt, err = gptblock.New(t.params, t.o.Exp.Config.Eval()); err != nil {
		return err
	}
	if err := saved.Restore(t.params, nil); err != nil || !average {
		return err
	}
	weights, err := saved.Tensors("ema")
	if err != nil {
		return errors.WithMessage(err, "-ema")
	}
	return t.assign(weights)
}

// assign overwrites the weights.
func (t *trained) assign(weights map[string]gorgonia.Value) error {
	for _, p := range t.params.Trainable() {
		v, ok := weights[p.Name()]
		if !ok {
			return errors.Errorf("-ema: there is no average of %s", p.Name())
		}
		to, _, err := graph.Floats(p.Value())
		if err != nil {
			return err
		}
		from, _, err := graph.Floats(v)
		if err != nil {
			return err
		}
		copy(to, from)
	}
	return nil
}

func (t *trained) loadModel(dir string) error {
	t.about = dir
	c, err := hf.ReadConfig(dir)
	if err != nil {
		return err
	}
	if t.gpt, err = gptblock.New(t.params, c.Eval()); err != nil {
		return err
	}
	return hf.Load(t.params, dir)
}

// findTokenizer is the tokenizer that the flag names, or else the one that lies
// with the model, or GPT-2's for its vocabulary; nil if none of that is there.
func (s *source) findTokenizer(c gptblock.Config) (dataset.Tokenizer, error) {
	switch {
	case s.tokenizer == bpe.Kind:
		return bpe.New()
	case filepath.Ext(s.tokenizer) == ".bin":
		return dataset.LoadPieces(s.tokenizer)
	case s.tokenizer != "":
		return dataset.LoadTokenizer(s.tokenizer, tokenizers)
	case s.run != "":
		return dataset.LoadTokenizer(filepath.Join(s.run, "tokenizer.json"), tokenizers)
	}
	if path := filepath.Join(s.model, "tokenizer.bin"); exists(path) {
		return dataset.LoadPieces(path)
	}
	// A tokenizer.json of Hugging Face has another format, which is no error.
	if tok, err := dataset.LoadTokenizer(filepath.Join(s.model, "tokenizer.json"), tokenizers); err == nil {
		return tok, nil
	}
	if c.Layout == gptblock.LayoutGPT2 {
		if gpt2, err := bpe.New(); err != nil || gpt2.Vocab() == c.Vocab {
			return gpt2, err
		}
	}
	return nil, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
