package checkpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/graph"
)

func TestLatestOnlyReads(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	_, _, err := checkpoint.Latest(none)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, none)

	dir := t.TempDir()
	_, _, err = checkpoint.Latest(dir)
	require.ErrorIs(t, err, checkpoint.ErrNone)
	s, err := checkpoint.NewStore(dir, 1)
	require.NoError(t, err)
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = ps.New("w", graph.Weight, tensor.Shape{2, 3}, nil)
	require.NoError(t, err)
	_, err = s.Save(checkpoint.Snapshot{Step: 7, Params: ps})
	require.NoError(t, err)
	busy := filepath.Join(dir, ".tmp-1") // another process is writing here
	require.NoError(t, os.Mkdir(busy, 0o755))
	saved, damaged, err := checkpoint.Latest(dir)
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.Equal(t, 7, saved.Step())
	require.DirExists(t, busy)
}
