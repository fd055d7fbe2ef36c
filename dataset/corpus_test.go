package dataset_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

func TestLoadCorpus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(path, []byte("h\u00e9llo"), 0o600))
	c, err := dataset.LoadCorpus(path)
	require.NoError(t, err)
	require.Equal(t, dataset.Corpus{Text: "h\u00e9llo", Source: path}, c)

	require.NoError(t, os.WriteFile(path, []byte("caf\xe9"), 0o600)) // Latin-1
	_, err = dataset.LoadCorpus(path)
	require.ErrorIs(t, err, dataset.ErrNotUTF8)
	require.ErrorContains(t, err, "at byte 3")
	require.ErrorContains(t, err, path)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = dataset.LoadCorpus(path)
	require.ErrorIs(t, err, dataset.ErrEmpty)
	_, err = dataset.LoadCorpus(path + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDefaultCorpusLooksUnderGOROOTFirst(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "src", "testdata", "Isaac.Newton-Opticks.txt")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("OPTICKS"), 0o600))
	t.Setenv("GOROOT", root)
	require.Equal(t, dataset.Corpus{Text: "OPTICKS", Source: path}, dataset.DefaultCorpus())

	// No Go distribution at all: a made text that says so.
	t.Setenv("GOROOT", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	c := dataset.DefaultCorpus()
	require.True(t, c.Made)
	require.Equal(t, "made by gorget", c.Source)
	require.Greater(t, len(c.Text), 500_000)
}

func TestDefaultCorpusAsksTheGoCommand(t *testing.T) {
	t.Setenv("GOROOT", "")
	c := dataset.DefaultCorpus()
	require.False(t, c.Made, "the tests run where Go is")
	require.Len(t, c.Text, 567198)
}

func TestMadeCorpusIsAlwaysTheSame(t *testing.T) {
	require.Equal(t, dataset.MadeCorpus(50), dataset.MadeCorpus(50))
	chars, err := dataset.NewChars(dataset.MadeCorpus(1000).Text)
	require.NoError(t, err)
	require.Less(t, chars.Vocab(), 50)
}
