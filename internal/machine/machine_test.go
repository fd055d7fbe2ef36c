package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/internal/machine"
)

func numbered(n int) []float32 {
	xs := make([]float32, n)
	for i := range xs {
		xs[i] = float32(i%1000) + 0.5
	}
	return xs
}

func TestCopies(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 1 << 16, 1<<16 + 64, 3<<16 + 77} {
		src := numbered(n)
		dst := make([]float32, n)
		machine.Copy(dst, src)
		require.Equal(t, src, dst)

		const guard = 64
		block := make([]float32, 1<<18+guard) // large, so aligned to a page
		dst = block[:n]
		if n > 0 && !machine.StreamCopy(dst, src) {
			require.Equal(t, "portable", kernel.InstructionSet())
			continue
		}
		require.Equal(t, src, dst)
		require.Equal(t, make([]float32, guard), block[n:n+guard], "nothing is written beyond the end")
	}
}

func TestStreamCopyRefusesUnalignedSlices(t *testing.T) {
	dst := make([]float32, 1<<16)[1:129]
	require.False(t, machine.StreamCopy(dst, numbered(128)))
	require.Equal(t, make([]float32, 128), dst)
}

func TestBurstCountsItsWork(t *testing.T) {
	if kernel.InstructionSet() == "portable" {
		require.Zero(t, machine.Burst())
	} else {
		require.Greater(t, machine.Burst(), 1e8)
	}
}

func BenchmarkBurst(b *testing.B) {
	var flops float64
	for b.Loop() {
		flops += machine.Burst()
	}
	b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkCopy(b *testing.B) {
	src, dst := numbered(1<<25), numbered(1<<25)
	for _, c := range []struct {
		name string
		copy func()
	}{
		{"memmove", func() { machine.Copy(dst, src) }},
		{"stream", func() { machine.StreamCopy(dst, src) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(8 << 25) // read and written
			for b.Loop() {
				c.copy()
			}
		})
	}
}
