package dataset_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

func writeShard(t testing.TB, format dataset.Format, ids []int32) *dataset.Shard {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.bin")
	w, err := dataset.CreateShard(path, format)
	require.NoError(t, err)
	for len(ids) > 0 { // in uneven parts
		n := min(len(ids), 777)
		require.NoError(t, w.Write(ids[:n]))
		ids = ids[n:]
	}
	require.NoError(t, w.Close())
	s, err := dataset.OpenShard(path)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestShardRoundTrip(t *testing.T) {
	ids := make([]int32, 40000) // more than one chunk
	for i := range ids {
		ids[i] = int32((i * 7919) % 65536)
	}
	for _, format := range []dataset.Format{dataset.LLMC, dataset.NanoGPT} {
		s := writeShard(t, format, ids)
		require.Equal(t, format, s.Format())
		require.Equal(t, len(ids), s.Len())
		got := make([]int32, len(ids))
		require.NoError(t, s.ReadTokens(got, 0))
		require.Equal(t, ids, got)
		require.NoError(t, s.ReadTokens(got[:3], 39997))
		require.Equal(t, ids[39997:], got[:3])
		require.ErrorContains(t, s.ReadTokens(got[:4], 39997), "tokens.bin")

		var wg sync.WaitGroup
		for i := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				part := make([]int32, 9000)
				if err := s.ReadTokens(part, i*9000); err != nil {
					t.Error(err)
				}
				if part[8999] != ids[i*9000+8999] {
					t.Errorf("reader %d read another's tokens", i)
				}
			}()
		}
		wg.Wait()
	}
}

// The bytes themselves, as llm.c's data scripts write them.
func TestShardLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.bin")
	write := func(format dataset.Format) []byte {
		w, err := dataset.CreateShard(path, format)
		require.NoError(t, err)
		require.NoError(t, w.Write([]int32{1, 50256}))
		require.NoError(t, w.Close())
		buf, err := os.ReadFile(path)
		require.NoError(t, err)
		return buf
	}
	ids := []byte{1, 0, 0x50, 0xc4}
	require.Equal(t, ids, write(dataset.NanoGPT))
	buf := write(dataset.LLMC)
	require.Len(t, buf, 1024+4)
	for i, want := range []uint32{20240520, 1, 2, 0} {
		require.Equal(t, want, binary.LittleEndian.Uint32(buf[4*i:]))
	}
	require.Equal(t, make([]byte, 1024-12), buf[12:1024])
	require.Equal(t, ids, buf[1024:])
}

func llmcFile(magic, version, count uint32, tokens int) []byte {
	buf := make([]byte, 1024+2*tokens)
	binary.LittleEndian.PutUint32(buf, magic)
	binary.LittleEndian.PutUint32(buf[4:], version)
	binary.LittleEndian.PutUint32(buf[8:], count)
	return buf
}

func TestOpenShardRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.bin")
	for name, c := range map[string]struct {
		buf  []byte
		want string
		is   error
	}{
		"empty":     {nil, "empty", dataset.ErrEmpty},
		"odd":       {make([]byte, 7), "length = 7 bytes", dataset.ErrFormat},
		"version":   {llmcFile(20240520, 7, 3, 3), "version = 7", dataset.ErrFormat},
		"short":     {llmcFile(20240520, 1, 4, 3), "length = 1030 bytes, want 1032 for the 4 tokens", dataset.ErrFormat},
		"long":      {llmcFile(20240520, 1, 2, 3), "want 1028", dataset.ErrFormat},
		"negative":  {llmcFile(20240520, 1, 1<<31, 3), "-2147483648 tokens", dataset.ErrFormat},
		"no tokens": {llmcFile(20240520, 1, 0, 0), "empty", dataset.ErrEmpty},
		"head only": {llmcFile(20240520, 1, 3, 3)[:12], "length = 12 bytes", dataset.ErrFormat},
	} {
		require.NoError(t, os.WriteFile(path, c.buf, 0o600))
		_, err := dataset.OpenShard(path)
		require.ErrorIs(t, err, c.is, name)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, path, name)
	}
	_, err := dataset.OpenShard(filepath.Dir(path))
	require.ErrorIs(t, err, dataset.ErrFormat, "a folder")
	_, err = dataset.OpenShard(path + "x")
	require.ErrorIs(t, err, os.ErrNotExist)

	// A file cut short after it was opened: the read says where.
	require.NoError(t, os.WriteFile(path, make([]byte, 100), 0o600))
	s, err := dataset.OpenShard(path)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, os.Truncate(path, 50))
	require.ErrorContains(t, s.ReadTokens(make([]int32, 10), 20), "tokens [20, 30)")
}

func TestShardWriterLeavesNoHalfFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.bin")
	names := func() (n []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			n = append(n, e.Name())
		}
		return n
	}
	w, err := dataset.CreateShard(path, dataset.LLMC)
	require.NoError(t, err)
	require.ErrorIs(t, w.Close(), dataset.ErrEmpty)
	require.Empty(t, names())

	w, err = dataset.CreateShard(path, dataset.NanoGPT)
	require.NoError(t, err)
	require.NoError(t, w.Write([]int32{1, 2}))
	var te *dataset.TokenError
	require.ErrorAs(t, w.Write([]int32{3, 65536}), &te)
	require.Equal(t, dataset.TokenError{Position: 3, ID: 65536, Vocab: 65536}, *te)
	require.Equal(t, 2, w.Len(), "a refused slice is not written in part")
	require.ErrorAs(t, w.Write([]int32{-1}), &te)
	w.Abort()
	require.Empty(t, names())

	w, err = dataset.CreateShard(path, dataset.NanoGPT)
	require.NoError(t, err)
	require.NoError(t, w.Write([]int32{1}))
	require.NoError(t, w.Close())
	w.Abort()
	require.Equal(t, []string{"x.bin"}, names())

	_, err = dataset.CreateShard(path, 9)
	require.ErrorContains(t, err, "format = 9")
	_, err = dataset.CreateShard(filepath.Join(dir, "no", "x.bin"), dataset.LLMC)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzOpenShard(f *testing.F) {
	f.Add(llmcFile(20240520, 1, 3, 3))
	f.Add(llmcFile(20240520, 1, 1<<31-1, 3))
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "x.bin")
		require.NoError(t, os.WriteFile(path, file, 0o600))
		s, err := dataset.OpenShard(path)
		if err != nil {
			return
		}
		defer s.Close()
		require.LessOrEqual(t, 2*s.Len(), len(file))
		require.NoError(t, s.ReadTokens(make([]int32, s.Len()), 0))
	})
}
