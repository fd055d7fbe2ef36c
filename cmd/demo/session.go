package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/dataset/bpe"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/train"
)

// text is a corpus as tokens, split into training and validation.
type text struct {
	source     string
	made       bool // by the program itself
	tok        dataset.Tokenizer
	head, tail dataset.Tokens // to train on, to validate with
	train, val *dataset.Loader
	open       []io.Closer
}

// tokenizers are those that a saved tokenizer can be.
var tokenizers = map[string]func() (dataset.Tokenizer, error){bpe.Kind: bpe.New}

// loadText reads what -data names: a text file, which is tokenized and cut 9 to
// 1, or a folder that the prepare command made.
func loadText(o *options) (*text, error) {
	t := &text{}
	var err error
	if info, e := os.Stat(o.Data); e == nil && info.IsDir() {
		err = t.readPrepared(o)
	} else {
		err = t.readCorpus(o)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	if err := t.load(o); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *text) readCorpus(o *options) error {
	corpus, err := dataset.DefaultCorpus(), error(nil)
	if o.Data != "" {
		if corpus, err = dataset.LoadCorpus(o.Data); err != nil {
			return err
		}
	}
	t.source, t.made = corpus.Source, corpus.Made
	if t.tok, err = o.tokenizer(corpus.Text); err != nil {
		return err
	}
	ids, err := t.tok.Encode(corpus.Text)
	if err != nil {
		return err
	}
	t.head, t.tail, err = dataset.Split(dataset.Slice(ids), 0.9)
	return err
}

// readPrepared opens a folder with train.bin, val.bin and tokenizer.json.
func (t *text) readPrepared(o *options) (err error) {
	dir := o.Data
	t.source = dir
	if t.tok, err = dataset.LoadTokenizer(filepath.Join(dir, "tokenizer.json"), tokenizers); err != nil {
		return err
	}
	if err := o.checkTokenizer(t.tok); err != nil {
		return err
	}
	shard := func(name string) (*dataset.Shard, error) {
		s, err := dataset.OpenShard(filepath.Join(dir, name))
		if err == nil {
			t.open = append(t.open, s)
		}
		return s, err
	}
	if t.head, err = shard("train.bin"); err != nil {
		return err
	}
	t.tail, err = shard("val.bin")
	return err
}

// load makes the loaders, and the vocabulary of a new model that of the text.
func (t *text) load(o *options) (err error) {
	if n := o.EvalTok; n > 0 && n < t.tail.Len() {
		if t.tail, err = dataset.Section(t.tail, 0, n); err != nil {
			return err
		}
	}
	c := dataset.Config{B: o.Exp.Batch, T: o.Exp.Time, Micro: o.Exp.Micro, Vocab: t.tok.Vocab(), Seed: o.Seed}
	if t.train, err = dataset.NewLoader(t.head, c); err != nil {
		return errors.Wrap(err, "training text")
	}
	c.Order, c.Micro = dataset.Sequential, 1
	if t.val, err = dataset.NewLoader(t.tail, c); err != nil {
		return errors.Wrap(err, "validation text")
	}
	switch {
	case o.Model == "":
		o.Exp.Config.Vocab = t.tok.Vocab()
	case t.tok.Vocab() > o.Exp.Config.Vocab:
		return errors.Errorf("the tokenizer has %d tokens, want at most %d, the model's vocabulary", t.tok.Vocab(), o.Exp.Config.Vocab)
	}
	return nil
}

func (t *text) close() {
	for _, c := range t.open {
		c.Close()
	}
}

// model is a GPT with the graphs that train it and evaluate it.
type model struct {
	o      *options
	text   *text
	params *graph.Params
	gpt    *gptblock.Model
	loss   *gorgonia.Node

	prog, eval *graph.Program
	in, evalIn inputs
}

// inputs are the token and target nodes of a graph, both (B,T), and for each
// micro-batch of a step the slices that are fed to them.
type inputs struct {
	ids, targets *gorgonia.Node
	slices       [][2][]int32
}

func newInputs(g *gorgonia.ExprGraph, b, t, micro int) inputs {
	node := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(b, t), gorgonia.WithName(name))
	}
	in := inputs{ids: node("ids"), targets: node("targets")}
	for range micro {
		in.slices = append(in.slices, [2][]int32{make([]int32, b*t), make([]int32, b*t)})
	}
	return in
}

// feed is batch (step, micro) of a loader.
func (in inputs) feed(l *dataset.Loader, step, micro int) (graph.Feed, error) {
	s := in.slices[micro]
	return graph.Feed{in.ids: s[0], in.targets: s[1]}, l.Batch(step, micro, s[0], s[1])
}

// newModel builds the model on a training graph, and again on an evaluation
// graph without dropout that shares its weights.
func newModel(o *options, t *text) (*model, error) {
	m := &model{o: o, text: t}
	var err error
	if m.params, err = graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(o.Seed)); err != nil {
		return nil, err
	}
	if m.gpt, err = gptblock.New(m.params, o.Exp.Config); err != nil {
		return nil, err
	}
	m.in = newInputs(m.params.Graph(), o.Exp.Batch, o.Exp.Time, o.Exp.Micro)
	if m.loss, err = m.gpt.Loss(m.in.ids, m.in.targets); err != nil {
		return nil, err
	}
	if m.prog, err = graph.Compile(m.loss, m.params); err != nil {
		return nil, err
	}
	shared, err := m.params.Share(gorgonia.NewGraph())
	if err != nil {
		return nil, err
	}
	gpt, err := gptblock.New(shared, o.Exp.Config.Eval())
	if err != nil {
		return nil, err
	}
	m.evalIn = newInputs(shared.Graph(), o.Exp.Batch, o.Exp.Time, 1)
	loss, err := gpt.Loss(m.evalIn.ids, m.evalIn.targets)
	if err != nil {
		return nil, err
	}
	m.eval, err = graph.Compile(loss, shared, graph.ForwardOnly())
	return m, err
}

func (m *model) close() {
	m.prog.Close()
	m.eval.Close()
}

// batch is the feed of a micro-batch.
func (m *model) batch(step, micro int) (graph.Feed, error) {
	return m.in.feed(m.text.train, step, micro)
}

// validate is the mean loss over all tokens of the validation text.
func (m *model) validate(ctx context.Context) (float64, error) {
	loss, _, err := meanLoss(ctx, m.eval, m.evalIn, m.text.val)
	return loss, err
}

// meanLoss is the mean loss over the tokens of one pass of a loader, and their
// number.
func meanLoss(ctx context.Context, prog *graph.Program, in inputs, l *dataset.Loader) (loss, weight float64, err error) {
	for i := range l.Len() {
		feed, err := in.feed(l, i, 0)
		if err != nil {
			return 0, 0, err
		}
		r, err := prog.Eval(ctx, feed)
		if err != nil {
			return 0, 0, err
		}
		loss, weight = loss+r.Loss*r.Weight, weight+r.Weight
	}
	return loss / weight, weight, nil
}

// run makes a training run of the model with a solver.
func (m *model) run(solver gorgonia.Solver, observers ...train.Observer) *train.Run {
	return &train.Run{
		Config: m.o.Loop, Program: m.prog, Solver: solver, Params: m.params,
		Batch: m.batch, Validate: m.validate, Observers: observers,
	}
}
