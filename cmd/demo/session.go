package main

import (
	"context"

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
	corpus     dataset.Corpus
	tok        dataset.Tokenizer
	train, val *dataset.Loader
	valTokens  int
}

// loadText reads the corpus of the options and tokenizes it.
func loadText(o *options) (*text, error) {
	t := &text{}
	var err error
	if o.Data == "" {
		t.corpus = dataset.DefaultCorpus()
	} else if t.corpus, err = dataset.LoadCorpus(o.Data); err != nil {
		return nil, err
	}
	if o.Tokenizer == "gpt2" {
		t.tok, err = bpe.New()
	} else {
		t.tok, err = dataset.NewChars(t.corpus.Text)
	}
	if err != nil {
		return nil, err
	}
	ids, err := t.tok.Encode(t.corpus.Text)
	if err != nil {
		return nil, err
	}
	return t, t.split(ids, o)
}

// split makes the loaders: 90 % of the tokens to train on, the rest to
// validate with.
func (t *text) split(ids []int32, o *options) error {
	head, tail, err := dataset.Split(dataset.Slice(ids), 0.9)
	if err != nil {
		return err
	}
	if n := o.EvalTok; n > 0 && n < tail.Len() {
		if tail, err = dataset.Section(tail, 0, n); err != nil {
			return err
		}
	}
	c := dataset.Config{B: o.Exp.Batch, T: o.Exp.Time, Micro: o.Exp.Micro, Vocab: t.tok.Vocab(), Seed: o.Seed}
	if t.train, err = dataset.NewLoader(head, c); err != nil {
		return errors.Wrap(err, "training text")
	}
	c.Order, c.Micro = dataset.Sequential, 1
	if t.val, err = dataset.NewLoader(tail, c); err != nil {
		return errors.Wrap(err, "validation text")
	}
	t.valTokens = tail.Len()
	o.Exp.Config.Vocab = t.tok.Vocab()
	return nil
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
	var sum, weight float64
	for i := range m.text.val.Len() {
		feed, err := m.evalIn.feed(m.text.val, i, 0)
		if err != nil {
			return 0, err
		}
		r, err := m.eval.Eval(ctx, feed)
		if err != nil {
			return 0, err
		}
		sum, weight = sum+r.Loss*r.Weight, weight+r.Weight
	}
	return sum / weight, nil
}

// run makes a training run of the model with a solver.
func (m *model) run(solver gorgonia.Solver, observers ...train.Observer) *train.Run {
	return &train.Run{
		Config: m.o.Loop, Program: m.prog, Solver: solver, Params: m.params,
		Batch: m.batch, Validate: m.validate, Observers: observers,
	}
}
