package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/sample"
)

// sampleOptions are the flags of the sample command.
type sampleOptions struct {
	from   source
	prompt string
	ids    string // the prompt as tokens, instead
	count  int
	json   bool
	how    sample.Options
}

func parseSample(args []string, help io.Writer) (o sampleOptions, err error) {
	o.how.Full = sample.SlideFull
	fs := flag.NewFlagSet("sample", flag.ContinueOnError)
	fs.SetOutput(help)
	o.from.flags(fs)
	h := &o.how
	fs.StringVar(&o.prompt, "prompt", "", "text to continue (default: a line break, or the mark that begins a text)")
	fs.StringVar(&o.ids, "prompt-tokens", "", "token ids to continue instead, such as 1,403,407; the output is ids too")
	fs.IntVar(&o.count, "samples", 1, "how often to continue it, each time differently")
	fs.IntVar(&h.MaxNew, "n", 200, "tokens to generate at most")
	fs.Float64Var(&h.Temperature, "temperature", temperature, "divides the logits; 0 always takes the most likely token")
	fs.IntVar(&h.TopK, "top-k", 0, "choose among the k most likely tokens; 0 is all")
	fs.Float64Var(&h.TopP, "top-p", 1, "choose among the most likely tokens that have this probability together")
	fs.Uint64Var(&h.Seed, "seed", 1337, "of the choices")
	fs.IntVar(&h.Repeat.Length, "repeat-length", 0, "with -repeat-times: end when so many tokens come again and again")
	fs.IntVar(&h.Repeat.Times, "repeat-times", 0, "how often they must have come")
	fs.Func("full-context", "slide (default): drop the first half of a full context and go on; stop: end there", func(s string) error {
		h.Full = sample.FullContext(s)
		return nil
	})
	fs.BoolVar(&o.json, "json", false, "write JSON to the standard output, an object a sample")
	if err := parseFlags(fs, args); err != nil {
		return o, err
	}
	if err := o.from.check(); err != nil {
		return o, err
	}
	switch err := h.Validate(); {
	case err != nil:
		return o, usagef("%v", err)
	case o.count < 1:
		return o, usagef("-samples = %d, want >= 1", o.count)
	case o.prompt != "" && o.ids != "":
		return o, usagef("-prompt and -prompt-tokens exclude each other")
	}
	return o, nil
}

// runSample continues a text with a trained model.
func runSample(ctx context.Context, args []string, s streams) error {
	o, err := parseSample(args, s.err)
	if err != nil {
		return err
	}
	m, err := o.from.load(s.err)
	if err != nil {
		return err
	}
	prompt, tok, err := o.begin(m)
	if err != nil {
		return err
	}
	decoder, err := gptblock.NewDecoder(m.gpt, min(o.count, gptblock.SmallBatch))
	if err != nil {
		return err
	}
	if end, ok := tok.(dataset.Ender); ok {
		o.how.Stop = []int32{end.EndOfText()}
	}
	prompts := make([][]int32, o.count)
	for i := range prompts {
		prompts[i] = prompt
	}
	fmt.Fprintf(s.err, "%s: %s\n", m.about, m.gpt.Config.Describe())

	var onToken func(int, int32) error
	if o.count == 1 && !o.json { // show it as it comes
		fmt.Fprint(s.out, o.prompt)
		onToken = newTeller(s.out, tok, prompt).token
	}
	begun := time.Now()
	out, err := sample.Generate(ctx, decoder, prompts, o.how, onToken)
	took := time.Since(begun)
	if err = interruption(err); err != nil && !errors.Is(err, errInterrupted) {
		return err
	}
	if failed := o.tell(s.out, tok, prompt, out, onToken != nil); failed != nil {
		return failed
	}
	tokens := 0
	for _, q := range out {
		tokens += len(q.Tokens)
	}
	fmt.Fprintf(s.err, "%d tokens, %.0f tokens/s\n", tokens, float64(tokens)/max(took.Seconds(), 1e-9))
	return err
}

// begin is the prompt, and what turns tokens to text; with -prompt-tokens that
// is numbers.
func (o *sampleOptions) begin(m *trained) ([]int32, dataset.Tokenizer, error) {
	if o.ids == "" {
		if m.tok == nil {
			return nil, nil, errors.Errorf("no tokenizer is known for %s: name one by -tokenizer, or give -prompt-tokens", m.about)
		}
		prompt, err := beginning(m.tok, o.prompt)
		return prompt, m.tok, err
	}
	tok := numbers(m.gpt.Config.Vocab)
	prompt, err := tok.Encode(o.ids)
	return prompt, tok, err
}

// tell writes the samples, unless they were shown as they came.
func (o *sampleOptions) tell(w io.Writer, tok dataset.Tokenizer, prompt []int32, out []sample.Sequence, shown bool) error {
	if shown {
		_, err := fmt.Fprintln(w)
		return err
	}
	for i, q := range out {
		text := &strings.Builder{}
		t := newTeller(text, tok, prompt)
		for _, id := range q.Tokens {
			if err := t.token(0, id); err != nil {
				return err
			}
		}
		if !o.json {
			fmt.Fprintf(w, "--- sample %d\n%s%s\n", i+1, o.prompt, text)
			continue
		}
		if err := writeJSON(w, struct {
			Sample int    `json:"sample"`
			Prompt string `json:"prompt"`
			Text   string `json:"text"`
			sample.Sequence
		}{i + 1, o.prompt, text.String(), q}, ""); err != nil {
			return err
		}
	}
	return nil
}

// teller writes tokens as text, one by one. A token is decoded together with
// the one before it, since some tokenizers write one differently at the
// beginning of a text.
type teller struct {
	w    io.Writer
	tok  dataset.Tokenizer
	last int32
}

func newTeller(w io.Writer, tok dataset.Tokenizer, prompt []int32) *teller {
	return &teller{w: w, tok: tok, last: prompt[len(prompt)-1]}
}

func (t *teller) token(_ int, id int32) error {
	before, err := t.tok.Decode([]int32{t.last})
	if err != nil {
		return err
	}
	both, err := t.tok.Decode([]int32{t.last, id})
	if err != nil {
		return err
	}
	t.last = id
	_, err = io.WriteString(t.w, strings.TrimPrefix(both, before))
	return errors.Wrap(err, "standard output")
}

// numbers shows tokens of a vocabulary of this size as their ids.
type numbers int

func (n numbers) Kind() string { return "numbers" }
func (n numbers) Vocab() int   { return int(n) }

// Encode reads ids with commas between them.
func (n numbers) Encode(text string) (ids []int32, err error) {
	for _, word := range strings.Split(text, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(word), 10, 32)
		if err != nil {
			return nil, usagef("-prompt-tokens = %q, want numbers with commas between them", text)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// Decode writes each id with a space after it.
func (n numbers) Decode(ids []int32) (string, error) {
	text := ""
	for _, id := range ids {
		text += fmt.Sprint(id, " ")
	}
	return text, nil
}
