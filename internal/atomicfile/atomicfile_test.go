package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/internal/atomicfile"
)

func names(t *testing.T, dir string) (n []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		n = append(n, e.Name())
	}
	return n
}

func TestCommitReplacesAbortKeeps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, atomicfile.Write(path, []byte("one")))
	f, err := atomicfile.Create(path)
	require.NoError(t, err)
	_, err = f.WriteString("two")
	require.NoError(t, err)
	buf, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one", string(buf), "the old file stays until Commit")
	f.Abort()
	f.Abort()
	require.Equal(t, []string{"f"}, names(t, dir))

	require.NoError(t, atomicfile.Write(path, []byte("three")))
	buf, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "three", string(buf))
	require.Equal(t, []string{"f"}, names(t, dir))
}

func TestFailuresLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, atomicfile.Write(filepath.Join(dir, "no", "f"), nil), os.ErrNotExist)
	// A folder that is not empty cannot be replaced by a file.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "d", "x"), 0o700))
	require.Error(t, atomicfile.Write(filepath.Join(dir, "d"), []byte("x")))
	require.Equal(t, []string{"d"}, names(t, dir))
	require.Error(t, atomicfile.SyncDir(filepath.Join(dir, "no")))
}
