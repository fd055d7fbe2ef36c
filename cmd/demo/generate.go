package main

import (
	"context"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/sample"
)

// temperature of samples unless told otherwise: a little below 1 for fewer odd
// words.
const temperature = 0.8

// generate continues a line break by n tokens, with the weights as they are.
func (m *model) generate(ctx context.Context, n int) (string, error) {
	if n == 0 {
		return "", nil
	}
	decoder, err := gptblock.NewDecoder(m.gpt, 1)
	if err != nil {
		return "", err
	}
	o := sample.Options{MaxNew: n, Temperature: temperature, Seed: m.o.Seed, Full: sample.SlideFull}
	prompt, err := beginning(m.text.tok, "")
	if err != nil {
		return "", err
	}
	out, err := sample.Generate(ctx, decoder, [][]int32{prompt}, o, nil)
	if err != nil {
		return "", interruption(err)
	}
	return m.text.tok.Decode(out[0].Tokens)
}

// beginning is a prompt as tokens. Since something has to come first, an empty
// one is a line break, or token 0 if there is none.
func beginning(tok dataset.Tokenizer, prompt string) ([]int32, error) {
	ids, err := tok.Encode(prompt)
	if err != nil || len(ids) > 0 {
		return ids, errors.WithMessage(err, "-prompt")
	}
	if ids, err := tok.Encode("\n"); err == nil && len(ids) > 0 {
		return ids, nil
	}
	return []int32{0}, nil
}

// interruption is err, or errInterrupted if that is the reason.
func interruption(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}
