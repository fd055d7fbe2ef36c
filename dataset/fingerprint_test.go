package dataset_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

func TestFingerprint(t *testing.T) {
	of := func(src dataset.Tokens) string {
		f, err := dataset.Fingerprint(src)
		require.NoError(t, err)
		return f
	}
	// printf '\1\0\0\0\2\1\0\0' | sha256sum
	require.Equal(t, "sha256:fb8bbe2ad3ab5292f19bc5d75bbab9b5fbddc5a78ce47ab41b2d3d59bca08596", of(dataset.Slice{1, 258}))
	long := count(20000)
	require.Equal(t, of(long), of(writeShard(t, dataset.NanoGPT, long)), "memory or disk: the same stream")
	require.NotEqual(t, of(long), of(long[:19999]))
	require.NotEqual(t, of(dataset.Slice{1, 2}), of(dataset.Slice{2, 1}))
}
