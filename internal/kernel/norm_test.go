package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// layerNormRef is LayerNorm in float64 by its definition.
func layerNormRef(x, gain, bias []float64, cols int, eps float64) []float64 {
	y := make([]float64, len(x))
	for r := 0; r < len(x); r += cols {
		var mean, variance float64
		for _, v := range x[r : r+cols] {
			mean += v / float64(cols)
		}
		for _, v := range x[r : r+cols] {
			variance += (v - mean) * (v - mean) / float64(cols)
		}
		for c := range cols {
			y[r+c] = (x[r+c]-mean)/math.Sqrt(variance+eps)*gain[c] + bias[c]
		}
	}
	return y
}

// rmsNormRef is RMSNorm in float64 by its definition.
func rmsNormRef(x, gain []float64, cols int, eps float64) []float64 {
	y := make([]float64, len(x))
	for r := 0; r < len(x); r += cols {
		var square float64
		for _, v := range x[r : r+cols] {
			square += v * v / float64(cols)
		}
		for c := range cols {
			y[r+c] = x[r+c] / math.Sqrt(square+eps) * gain[c]
		}
	}
	return y
}

func TestLayerNormGradients(t *testing.T) { eachImpl(t, testLayerNormGradients) }

func testLayerNormGradients(t *testing.T) {
	const rows, cols, eps = 5, 7, 1e-5
	x, gain, bias := randn[float64](rows*cols, 2, 1), randn[float64](cols, 1, 2), randn[float64](cols, 1, 3)
	dy := randn[float64](rows*cols, 1, 4)
	loss := func() float64 { return dot(dy, layerNormRef(x, gain, bias, cols, eps)) }

	y, mean, rstd := make([]float64, rows*cols), make([]float64, rows), make([]float64, rows)
	LayerNorm(y, mean, rstd, x, gain, bias, rows, cols, eps)
	requireClose(t, layerNormRef(x, gain, bias, cols, eps), y, 1e-14, "LayerNorm")

	dx, dgain, dbias := make([]float64, rows*cols), make([]float64, cols), make([]float64, cols)
	LayerNormBackward(dx, dgain, dbias, nil, dy, x, gain, mean, rstd, rows, cols)
	requireClose(t, numericalGrad(x, loss), dx, 1e-8, "dx")
	requireClose(t, numericalGrad(gain, loss), dgain, 1e-8, "dgain")
	requireClose(t, numericalGrad(bias, loss), dbias, 1e-8, "dbias")
}

func TestRMSNormGradients(t *testing.T) { eachImpl(t, testRMSNormGradients) }

func testRMSNormGradients(t *testing.T) {
	const rows, cols, eps = 5, 7, 1e-5
	x, gain, dy := randn[float64](rows*cols, 2, 1), randn[float64](cols, 1, 2), randn[float64](rows*cols, 1, 4)
	loss := func() float64 { return dot(dy, rmsNormRef(x, gain, cols, eps)) }

	y, rstd := make([]float64, rows*cols), make([]float64, rows)
	RMSNorm(y, rstd, x, gain, rows, cols, eps)
	requireClose(t, rmsNormRef(x, gain, cols, eps), y, 1e-14, "RMSNorm")

	dx, dgain := make([]float64, rows*cols), make([]float64, cols)
	RMSNormBackward(dx, dgain, nil, dy, x, gain, rstd, rows, cols)
	requireClose(t, numericalGrad(x, loss), dx, 1e-8, "dx")
	requireClose(t, numericalGrad(gain, loss), dgain, 1e-8, "dgain")
}

// sumTolerance bounds the error of a sum of rows float32 terms of size 1 and
// either sign: it grows with the partial sums, as the square root.
func sumTolerance(rows int) float64 { return 1e-6 * math.Sqrt(float64(rows)) }

// normShapes has every row length to 257 and some many rows.
func normShapes(f func(rows, cols int)) {
	for cols := 1; cols < 258; cols++ {
		f(3, cols)
	}
	f(1, 4096)
	f(513, 64)
	f(1000, 100)
}

func TestLayerNormEachShape(t *testing.T) { eachImpl(t, testLayerNormEachShape) }

func testLayerNormEachShape(t *testing.T) {
	const eps = 1e-5
	normShapes(func(rows, cols int) {
		x, gain, bias := randn[float32](rows*cols, 2, 1), randn[float32](cols, 1, 2), randn[float32](cols, 1, 3)
		for i := range x {
			x[i] += 10 // a mean well away from 0 shows cancellation
		}
		dy := randn[float32](rows*cols, 1, 4)
		y, intact := fenced[float32](rows * cols)
		mean, rstd := make([]float32, rows), make([]float32, rows)
		LayerNorm(y, mean, rstd, x, gain, bias, rows, cols, eps)
		require.True(t, intact())

		dx, intact := fenced[float32](rows * cols)
		dgain, intactGain := fenced[float32](cols)
		dbias, intactBias := fenced[float32](cols)
		LayerNormBackward(dx, dgain, dbias, nil, dy, x, gain, mean, rstd, rows, cols)
		require.True(t, intact() && intactGain() && intactBias())

		y64, mean64, rstd64 := make([]float64, rows*cols), make([]float64, rows), make([]float64, rows)
		dx64, dgain64, dbias64 := make([]float64, rows*cols), make([]float64, cols), make([]float64, cols)
		LayerNorm(y64, mean64, rstd64, widen(x), widen(gain), widen(bias), rows, cols, eps)
		requireClose(t, layerNormRef(widen(x), widen(gain), widen(bias), cols, eps), y64, 1e-12, "y of (%d,%d)", rows, cols)
		for i, v := range y { // the bound that LayerNorm states
			r, c := i/cols, i%cols
			h := math.Abs(float64(x[i])-mean64[r]) * rstd64[r]
			bound := math.Abs(float64(gain[c]))*(rstd64[r]*math.Abs(mean64[r])+6*h) + 2*math.Abs(float64(bias[c]))
			require.LessOrEqual(t, math.Abs(float64(v)-y64[i]), bound/(1<<24), "y[%d] of (%d,%d)", i, rows, cols)
		}
		LayerNormBackward(dx64, dgain64, dbias64, nil, widen(dy), widen(x), widen(gain), mean64, rstd64, rows, cols)
		requireClose(t, dx64, dx, 2e-5, "dx of (%d,%d)", rows, cols)
		requireClose(t, dgain64, dgain, 10*sumTolerance(rows), "dgain of (%d,%d)", rows, cols)
		requireClose(t, dbias64, dbias, sumTolerance(rows), "dbias of (%d,%d)", rows, cols)
	})
}

func TestRMSNormEachShape(t *testing.T) { eachImpl(t, testRMSNormEachShape) }

func testRMSNormEachShape(t *testing.T) {
	const eps = 1e-5
	normShapes(func(rows, cols int) {
		x, gain, dy := randn[float32](rows*cols, 2, 1), randn[float32](cols, 1, 2), randn[float32](rows*cols, 1, 4)
		y, intact := fenced[float32](rows * cols)
		rstd := make([]float32, rows)
		RMSNorm(y, rstd, x, gain, rows, cols, eps)
		require.True(t, intact())
		for i, want := range rmsNormRef(widen(x), widen(gain), cols, eps) { // the bound that RMSNorm states
			require.LessOrEqual(t, math.Abs(float64(y[i])-want), 6*math.Abs(want)/(1<<24), "y[%d] of (%d,%d)", i, rows, cols)
		}

		dx, intact := fenced[float32](rows * cols)
		dgain, intactGain := fenced[float32](cols)
		RMSNormBackward(dx, dgain, nil, dy, x, gain, rstd, rows, cols)
		require.True(t, intact() && intactGain())

		y64, rstd64 := make([]float64, rows*cols), make([]float64, rows)
		dx64, dgain64 := make([]float64, rows*cols), make([]float64, cols)
		RMSNorm(y64, rstd64, widen(x), widen(gain), rows, cols, eps)
		RMSNormBackward(dx64, dgain64, nil, widen(dy), widen(x), widen(gain), rstd64, rows, cols)
		requireClose(t, dx64, dx, 5e-6, "dx of (%d,%d)", rows, cols)
		requireClose(t, dgain64, dgain, sumTolerance(rows), "dgain of (%d,%d)", rows, cols)
	})
}

// The gradient of a residual connection is added to dx, also in place.
func TestNormBackwardAddsResidual(t *testing.T) { eachImpl(t, testNormBackwardAddsResidual) }

func testNormBackwardAddsResidual(t *testing.T) {
	const rows, cols, eps = 37, 50, 1e-6
	x, gain, dy := randn[float32](rows*cols, 1, 1), randn[float32](cols, 1, 3), randn[float32](rows*cols, 1, 4)
	mean, rstd := make([]float32, rows), make([]float32, rows)
	y, alone := make([]float32, rows*cols), make([]float32, rows*cols)
	dgain, dgain2 := make([]float32, cols), make([]float32, cols)

	LayerNorm(y, mean, rstd, x, gain, nil, rows, cols, eps)
	LayerNormBackward(alone, dgain, nil, nil, dy, x, gain, mean, rstd, rows, cols)
	sum := randn[float32](rows*cols, 1, 5)
	AddTo(alone, sum)
	LayerNormBackward(sum, dgain2, nil, sum, dy, x, gain, mean, rstd, rows, cols)
	requireClose(t, alone, sum, 1e-6, "LayerNormBackward")
	require.Equal(t, dgain, dgain2)

	RMSNorm(y, rstd, x, gain, rows, cols, eps)
	RMSNormBackward(alone, dgain, nil, dy, x, gain, rstd, rows, cols)
	sum = randn[float32](rows*cols, 1, 5)
	AddTo(alone, sum)
	RMSNormBackward(sum, dgain2, sum, dy, x, gain, rstd, rows, cols)
	requireClose(t, alone, sum, 1e-6, "RMSNormBackward")
	require.Equal(t, dgain, dgain2)
}

func TestNormPropagatesNaN(t *testing.T) { eachImpl(t, testNormPropagatesNaN) }

func testNormPropagatesNaN(t *testing.T) {
	const rows, cols = 2, 40
	x, gain := randn[float32](rows*cols, 1, 1), randn[float32](cols, 1, 2)
	x[cols+3] = float32(math.NaN())
	y, mean, rstd := make([]float32, rows*cols), make([]float32, rows), make([]float32, rows)
	LayerNorm(y, mean, rstd, x, gain, nil, rows, cols, 1e-5)
	require.Equal(t, cols, FirstNonFinite(y), "row 0 is finite, row 1 is not")
	require.True(t, math.IsNaN(float64(mean[1])) && math.IsNaN(float64(rstd[1])))
	RMSNorm(y, rstd, x, gain, rows, cols, 1e-5)
	require.Equal(t, cols, FirstNonFinite(y))
}
