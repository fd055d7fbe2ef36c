package dataset_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

func TestCharsSortsAndRoundTrips(t *testing.T) {
	c, err := dataset.NewChars("banana é\n")
	require.NoError(t, err)
	require.Equal(t, 6, c.Vocab())
	ids, err := c.Encode("\n abné")
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1, 2, 3, 4, 5}, ids, "ids in the order of Unicode, as sorted(set(text))")
	text, err := c.Decode(ids)
	require.NoError(t, err)
	require.Equal(t, "\n abné", text)
}

func TestCharsSaysWhere(t *testing.T) {
	c, err := dataset.NewChars("abcé")
	require.NoError(t, err)
	for _, tc := range []struct {
		text   string
		offset int
		is     error
	}{
		{"abé\xff", 4, dataset.ErrNotUTF8},
		{"éx", 2, dataset.ErrUnknownChar},
		{"a\xc3", 1, dataset.ErrNotUTF8}, // a character cut in two
	} {
		_, err := c.Encode(tc.text)
		var te *dataset.TextError
		require.ErrorAs(t, err, &te, "%q", tc.text)
		assert.Equal(t, tc.offset, te.Offset)
		assert.ErrorIs(t, err, tc.is)
	}
	_, err = c.Encode("x�")
	require.ErrorIs(t, err, dataset.ErrUnknownChar, "U+FFFD that was written as such is a character")
	_, err = c.Decode([]int32{0, 4})
	var te *dataset.TokenError
	require.ErrorAs(t, err, &te)
	require.Equal(t, dataset.TokenError{Position: 1, ID: 4, Vocab: 4}, *te)
	_, err = dataset.NewChars("")
	require.ErrorIs(t, err, dataset.ErrEmpty)
	_, err = dataset.NewChars("a\xfe")
	require.ErrorIs(t, err, dataset.ErrNotUTF8)
}

func TestTokenizersAreSavedAndLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	chars, err := dataset.NewChars("<&\u2028\"\\ \n héllo")
	require.NoError(t, err)
	pieces := testPieces(t)
	for _, tok := range []dataset.Tokenizer{chars, pieces} {
		require.NoError(t, dataset.SaveTokenizer(path, tok))
		back, err := dataset.LoadTokenizer(path, nil)
		require.NoError(t, err)
		require.Equal(t, tok, back)
	}
	// A kind with a builder of the caller's.
	require.NoError(t, os.WriteFile(path, []byte(`{"kind":"mine"}`), 0o600))
	_, err = dataset.LoadTokenizer(path, nil)
	require.ErrorIs(t, err, dataset.ErrFormat)
	require.ErrorContains(t, err, `kind = "mine"`)
	back, err := dataset.LoadTokenizer(path, map[string]func() (dataset.Tokenizer, error){
		"mine": func() (dataset.Tokenizer, error) { return chars, nil },
	})
	require.NoError(t, err)
	require.Same(t, chars, back)

	for _, bad := range []string{"", "{", `{"kind":"char","data":7}`, `{"kind":"char","data":""}`, `{"kind":"char","data":"aa"}`,
		`{"kind":"pieces","data":[]}`, `{"kind":"pieces","data":{}}`} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		tok, err := dataset.LoadTokenizer(path, nil)
		require.Error(t, err, bad)
		require.Nil(t, tok, bad)
		require.ErrorContains(t, err, path)
	}
	require.Error(t, dataset.SaveTokenizer(filepath.Join(path, "x"), chars), "a folder that does not exist")
}
