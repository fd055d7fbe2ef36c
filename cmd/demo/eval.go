package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/graph"
)

// evalOptions are the flags of the eval command.
type evalOptions struct {
	from           source
	tokens, data   string
	context, batch int
	limit          int
	json           bool
}

// evalContext is the longest block of the eval command unless told otherwise.
const evalContext = 1024

func parseEval(args []string, help io.Writer) (o evalOptions, err error) {
	fs := flag.NewFlagSet("eval", flag.ContinueOnError)
	fs.SetOutput(help)
	o.from.flags(fs)
	fs.StringVar(&o.tokens, "tokens", "", "token file to evaluate on, nanoGPT's or llm.c's, as the prepare command writes it")
	fs.StringVar(&o.data, "data", "", "text file to evaluate on instead (default: the validation text of the run)")
	fs.IntVar(&o.context, "context", 0, fmt.Sprintf("tokens a block (default: as in the run, or the model's context, at most %d)", evalContext))
	fs.IntVar(&o.batch, "batch", 4, "blocks at a time")
	fs.IntVar(&o.limit, "max-tokens", 0, "tokens to evaluate at most, from the beginning; 0 is all")
	fs.BoolVar(&o.json, "json", false, "write the result as JSON to the standard output")
	if err := parseFlags(fs, args); err != nil {
		return o, err
	}
	if err := o.from.check(); err != nil {
		return o, err
	}
	switch {
	case o.tokens != "" && o.data != "":
		return o, usagef("-tokens and -data exclude each other")
	case o.tokens == "" && o.data == "" && o.from.model != "":
		return o, usagef("-tokens or -data is missing, want something to evaluate on")
	case o.context < 0:
		return o, usagef("-context = %d, want >= 1", o.context)
	case o.batch < 1:
		return o, usagef("-batch = %d, want >= 1", o.batch)
	case o.limit < 0:
		return o, usagef("-max-tokens = %d, want >= 0", o.limit)
	}
	return o, nil
}

// evaluation is the result of the eval command.
type evaluation struct {
	Loss       float64 `json:"loss"` // nats a token
	Perplexity float64 `json:"perplexity"`
	Tokens     int     `json:"tokens"` // predicted
	Context    int     `json:"context"`
	Model      string  `json:"model"`
	Data       string  `json:"data"`
}

// runEval prints loss and perplexity of a trained model: the tokens are cut
// into blocks, and each but the first of all is predicted from those before it
// in its block.
func runEval(ctx context.Context, args []string, s streams) error {
	o, err := parseEval(args, s.err)
	if err != nil {
		return err
	}
	m, err := o.from.load(s.err)
	if err != nil {
		return err
	}
	e := evaluation{Context: o.context, Model: m.about}
	switch {
	case e.Context == 0 && m.o != nil:
		e.Context = m.o.Exp.Time
	case e.Context == 0:
		e.Context = min(m.gpt.Config.Context, evalContext)
	case e.Context > m.gpt.Config.Context:
		return usagef("-context = %d, want 1 to the model's %d", e.Context, m.gpt.Config.Context)
	}
	tokens, closer, err := o.stream(m, &e.Data)
	if err != nil {
		return err
	}
	defer closer()
	if o.limit > 0 && o.limit < tokens.Len() {
		if tokens, err = dataset.Section(tokens, 0, o.limit); err != nil {
			return err
		}
	}
	if err := m.evaluate(ctx, tokens, o.batch, &e); err != nil {
		return interruption(err)
	}
	if o.json {
		return writeJSON(s.out, e, "")
	}
	_, err = fmt.Fprintf(s.out, "loss %.4f, perplexity %.4g: %d tokens of %s in blocks of %d, by %s\n",
		e.Loss, e.Perplexity, e.Tokens, e.Data, e.Context, e.Model)
	return err
}

// stream is what to evaluate on, and its name.
func (o *evalOptions) stream(m *trained, name *string) (tokens dataset.Tokens, closer func(), err error) {
	switch {
	case o.tokens != "":
		*name = o.tokens
		shard, err := dataset.OpenShard(o.tokens)
		if err != nil {
			return nil, nil, err
		}
		return shard, func() { shard.Close() }, nil
	case o.data == "":
		*name = "the run's validation text"
		t, err := loadText(m.o)
		if err != nil {
			return nil, nil, err
		}
		return t.tail, t.close, nil
	}
	*name = o.data
	if m.tok == nil {
		return nil, nil, errors.Errorf("no tokenizer is known for %s: name one by -tokenizer, or give -tokens", m.about)
	}
	corpus, err := dataset.LoadCorpus(o.data)
	if err != nil {
		return nil, nil, err
	}
	ids, err := m.tok.Encode(corpus.Text)
	return dataset.Slice(ids), func() {}, errors.WithMessage(err, o.data)
}

// evaluate sets the mean loss over all tokens.
func (m *trained) evaluate(ctx context.Context, tokens dataset.Tokens, batch int, e *evaluation) error {
	loader, err := dataset.NewLoader(tokens, dataset.Config{B: batch, T: e.Context, Vocab: m.gpt.Config.Vocab, Order: dataset.Sequential})
	if err != nil {
		return errors.Wrap(err, e.Data)
	}
	in := newInputs(m.params.Graph(), batch, e.Context, 1)
	loss, err := m.gpt.Loss(in.ids, in.targets)
	if err != nil {
		return err
	}
	prog, err := graph.Compile(loss, m.params, graph.ForwardOnly())
	if err != nil {
		return err
	}
	defer prog.Close()
	var weight float64
	e.Loss, weight, err = meanLoss(ctx, prog, in, loader)
	e.Perplexity, e.Tokens = math.Exp(e.Loss), int(weight)
	return err
}
