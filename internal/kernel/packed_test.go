package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackedGatesEqualSeparateOnes(t *testing.T) {
	const rows, cols = 5, 37
	gate, up, dy := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, rows*cols)
	h := make([]float32, 2*rows*cols)
	for i := range gate {
		gate[i], up[i], dy[i] = float32(i%17)/4-2, float32(i%13)/5-1, float32(i%7)-3
		r, c := i/cols, i%cols
		h[2*r*cols+c], h[(2*r+1)*cols+c] = gate[i], up[i]
	}
	for name, f := range map[string]struct {
		flat           func(y, gate, up []float32)
		flatBackward   func(dgate, dup, gate, up, dy []float32)
		packed         func(y, h []float32, rows, cols int)
		packedBackward func(dh, h, dy []float32, rows, cols int)
	}{
		"SwiGLU": {SwiGLU[float32], SwiGLUBackward[float32], SwiGLUPacked[float32], SwiGLUPackedBackward[float32]},
		"GeGLU":  {GeGLU[float32], GeGLUBackward[float32], GeGLUPacked[float32], GeGLUPackedBackward[float32]},
	} {
		want, got := make([]float32, rows*cols), make([]float32, rows*cols)
		f.flat(want, gate, up)
		f.packed(got, h, rows, cols)
		require.Equal(t, want, got, name)

		dgate, dup, dh := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, 2*rows*cols)
		f.flatBackward(dgate, dup, gate, up, dy)
		f.packedBackward(dh, h, dy, rows, cols)
		for r := range rows {
			require.Equal(t, dgate[r*cols:(r+1)*cols], dh[2*r*cols:(2*r+1)*cols], name)
			require.Equal(t, dup[r*cols:(r+1)*cols], dh[(2*r+1)*cols:(2*r+2)*cols], name)
		}
	}
}
