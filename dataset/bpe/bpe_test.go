package bpe_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/dataset/bpe"
)

func newGPT2(t testing.TB) dataset.Tokenizer {
	g, err := bpe.New()
	require.NoError(t, err)
	return g
}

// Ids as tiktoken's "gpt2" encoding gives them.
func TestKnownIDs(t *testing.T) {
	g := newGPT2(t)
	require.Equal(t, 50257, g.Vocab())
	for text, want := range map[string][]int32{
		"":             {},
		"hello world":  {31373, 995},
		"Hello, world": {15496, 11, 995},
		"\n\n":         {628},
		"\n\nA":        {198, 198, 32},
	} {
		ids, err := g.Encode(text)
		require.NoError(t, err)
		require.Equal(t, want, ids, "%q", text)
	}
}

func TestRoundTrip(t *testing.T) {
	g := newGPT2(t)
	for _, text := range []string{"", " ", "  two  spaces \n\n\ttabs ", "caf\u00e9 \U0001F642 12345", "it's we'll I'd", "<|endoftext|>"} {
		ids, err := g.Encode(text)
		require.NoError(t, err)
		require.NotContains(t, ids, int32(50256), "text cannot forge the mark")
		back, err := g.Decode(ids)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
	text, err := g.Decode([]int32{31373, 50256})
	require.NoError(t, err)
	require.Equal(t, "hello<|endoftext|>", text)
	require.Equal(t, int32(50256), g.(dataset.Ender).EndOfText())
}

func TestRefuses(t *testing.T) {
	g := newGPT2(t)
	_, err := g.Encode("ab\xff")
	var te *dataset.TextError
	require.ErrorAs(t, err, &te)
	require.Equal(t, 2, te.Offset)
	for _, id := range []int32{-1, 50257} {
		_, err = g.Decode([]int32{0, id})
		var ke *dataset.TokenError
		require.ErrorAs(t, err, &ke)
		require.Equal(t, dataset.TokenError{Position: 1, ID: id, Vocab: 50257}, *ke)
	}
}

func TestSavedByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	g := newGPT2(t)
	require.NoError(t, dataset.SaveTokenizer(path, g))
	back, err := dataset.LoadTokenizer(path, map[string]func() (dataset.Tokenizer, error){bpe.Kind: bpe.New})
	require.NoError(t, err)
	require.Same(t, g, back)
}

func Example() {
	g, err := bpe.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, err := g.Encode("The gorget guards the throat.")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := g.Decode(ids)
	fmt.Println(len(ids), text, err)
	// Output: 7 The gorget guards the throat. <nil>
}

// GORGET_TINYSHAKESPEARE names the text that nanoGPT's README counts in tokens:
// 301,966 to train on and 36,059 to validate with.
func TestTinyShakespeareCounts(t *testing.T) {
	path := os.Getenv("GORGET_TINYSHAKESPEARE")
	if path == "" {
		t.Skip("opt-in: set GORGET_TINYSHAKESPEARE to the tiny Shakespeare text (README, Tests)")
	}
	c, err := dataset.LoadCorpus(path)
	require.NoError(t, err)
	cut := int(0.9 * float64(len(c.Text)))
	for text, want := range map[string]int{c.Text[:cut]: 301966, c.Text[cut:]: 36059} {
		ids, err := newGPT2(t).Encode(text)
		require.NoError(t, err)
		require.Len(t, ids, want)
	}
	// And as characters: 65 of them.
	chars, err := dataset.NewChars(c.Text)
	require.NoError(t, err)
	require.Equal(t, 65, chars.Vocab())
}
