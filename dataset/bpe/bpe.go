package bpe

import (
	"strings"
	"sync"

	"github.com/pkg/errors"
	"github.com/tiktoken-go/tokenizer"

	"github.com/gorget/gorget/dataset"
)

// Kind is the name of this tokenizer in a saved file, for the builders of
// dataset.LoadTokenizer: map[string]func() (dataset.Tokenizer, error){bpe.Kind: bpe.New}.
const Kind = "gpt2"

const (
	endOfText     = 50256 // <|endoftext|>
	endOfTextName = "<|endoftext|>"
)

// GPT2 is the tokenizer of GPT-2 (Radford et al. 2019). It never produces
// <|endoftext|> from text: a text cannot forge the mark, which a program puts
// between documents itself.
type GPT2 struct {
	codec  tokenizer.Codec
	pieces []string // by id
}

// gpt2 is made once: the vocabulary is large.
var gpt2 = sync.OnceValues(func() (*GPT2, error) {
	codec, err := tokenizer.Get(tokenizer.R50kBase)
	if err != nil {
		return nil, errors.Wrap(err, "bpe")
	}
	g := &GPT2{codec: codec, pieces: make([]string, endOfText+1)}
	for id := range g.pieces[:endOfText] {
		if g.pieces[id], err = codec.Decode([]uint{uint(id)}); err != nil {
			return nil, errors.Wrapf(err, "bpe: token %d", id)
		}
	}
	g.pieces[endOfText] = endOfTextName
	return g, nil
})

// New gives the tokenizer.
func New() (dataset.Tokenizer, error) {
	g, err := gpt2()
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Kind is "gpt2".
func (g *GPT2) Kind() string { return Kind }

// Vocab is 50257.
func (g *GPT2) Vocab() int { return len(g.pieces) }

// EndOfText is 50256, <|endoftext|>.
func (g *GPT2) EndOfText() int32 { return endOfText }

// Encode gives the ids of a text, without <|endoftext|>. It fails with a
// *dataset.TextError for bytes that are not UTF-8.
func (g *GPT2) Encode(text string) ([]int32, error) {
	if err := dataset.CheckUTF8(text); err != nil {
		return nil, err
	}
	ids, _, err := g.codec.Encode(text)
	if err != nil {
		return nil, errors.Wrap(err, "bpe")
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out, nil
}

// Decode joins the pieces of ids; <|endoftext|> gives its name.
func (g *GPT2) Decode(ids []int32) (string, error) {
	var b strings.Builder
	for i, id := range ids {
		if id < 0 || int(id) >= len(g.pieces) {
			return "", &dataset.TokenError{Position: i, ID: id, Vocab: len(g.pieces)}
		}
		b.WriteString(g.pieces[id])
	}
	return b.String(), nil
}
