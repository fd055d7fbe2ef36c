package main

import (
	"encoding/json"
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
	best       bool
}

func (s *source) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.run, "run", "", "folder of a run: its latest checkpoint")
	fs.StringVar(&s.model, "model", "", "folder of a model: config.json and model.safetensors, as Hugging Face lays them out")
	fs.StringVar(&s.tokenizer, "tokenizer", "", "gpt2, a tokenizer.json that gorget wrote, or a vocabulary file of llama2.c (default: that of the run, or what lies in the model's folder)")
	fs.BoolVar(&s.average, "ema", false, "take the averaged weights of the run")
	fs.BoolVar(&s.best, "best", false, "take the checkpoint of the run with the best validation loss")
}

func (s *source) check() error {
	switch {
	case (s.run == "") == (s.model == ""):
		return usagef("want -run or -model, one of them")
	case (s.average || s.best) && s.run == "":
		return usagef("-ema and -best go with -run")
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
		err = t.loadRun(s, warn)
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

func (t *trained) loadRun(s *source, warn io.Writer) error {
	saved, err := s.checkpoint(warn)
	if err != nil {
		return err
	}
	t.about = fmt.Sprintf("%s, step %d", s.run, saved.Step())
	t.o = new(options)
	if err := saved.Config(t.o); err != nil {
		return err
	}
	if t.gpt, err = gptblock.New(t.params, t.o.Exp.Config.Eval()); err != nil {
		return err
	}
	if err := saved.Restore(t.params, nil); err != nil || !s.average {
		return err
	}
	weights, err := saved.Tensors("ema")
	if err != nil {
		return errors.WithMessage(err, "-ema")
	}
	return t.assign(weights)
}

// checkpoint opens that of the run.
func (s *source) checkpoint(warn io.Writer) (*checkpoint.Saved, error) {
	dir := filepath.Join(s.run, "checkpoints")
	if s.best {
		return checkpoint.Best(dir)
	}
	saved, damaged, err := checkpoint.Latest(dir)
	for _, d := range damaged {
		fmt.Fprintln(warn, "passed over:", d)
	}
	return saved, err
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
	if path := filepath.Join(s.model, tokenizerFile); exists(path) {
		return dataset.LoadTokenizer(path, tokenizers)
	}
	if path := filepath.Join(s.model, "tokenizer.bin"); exists(path) {
		return dataset.LoadPieces(path)
	}
	if path := filepath.Join(s.model, "tokenizer.json"); exists(path) && !huggingFaces(path) {
		return dataset.LoadTokenizer(path, tokenizers)
	}
	if c.Layout == gptblock.LayoutGPT2 {
		if gpt2, err := bpe.New(); err != nil || gpt2.Vocab() == c.Vocab {
			return gpt2, err
		}
	}
	return nil, nil
}

// tokenizerFile is the tokenizer in a checkpoint's folder. Other programs would
// take a tokenizer.json for theirs.
const tokenizerFile = "gorget_tokenizer.json"

// huggingFaces reports whether a tokenizer.json is Hugging Face's, which has
// another format.
func huggingFaces(path string) bool {
	var file struct {
		Model json.RawMessage `json:"model"`
	}
	b, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(b, &file) == nil && file.Model != nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
