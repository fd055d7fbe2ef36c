package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// runVec runs every vector kernel once on (rows, cols) operands of random
// numbers from operand, which is called in the same order each time, and
// returns all results by name.
func runVec(rows, cols int, operand func(n int) []float32) map[string]any {
	n := rows * cols
	results := map[string]any{}
	matrix := func() []float32 { return operand(n) }
	channel := func() []float32 { return operand(cols) }
	perRow := func() []float32 { return operand(rows) }
	ids := make([]int32, rows)
	for r := range ids {
		ids[r] = int32(r * 31 % cols)
	}
	x, dy, residual, gain := matrix(), matrix(), matrix(), channel()
	// matrixResult is a result of the shape of x.
	matrixResult := func(name string, f func(y []float32)) {
		y := matrix()
		f(y)
		results[name] = y
	}

	matrixResult("Add", func(y []float32) { Add(y, x, dy) })
	matrixResult("Scale", func(y []float32) { Scale(y, 3, x) })
	matrixResult("Axpy", func(y []float32) { Axpy(y, 3, x) })
	matrixResult("AddBias", func(y []float32) { AddBias(y, gain, rows, cols) })
	matrixResult("Exp", func(y []float32) { Exp(y, x) })
	for _, a := range activations {
		matrixResult(a.name, func(y []float32) { a.forward(y, x) })
		matrixResult(a.name+"Backward", func(y []float32) { a.backward(y, x, dy) })
	}
	for _, g := range gates {
		matrixResult(g.name, func(y []float32) { g.forward(y, x, dy) })
		matrixResult(g.name+"Backward dgate", func(dgate []float32) {
			matrixResult(g.name+"Backward dup", func(dup []float32) { g.backward(dgate, dup, x, residual, dy) })
		})
	}
	matrixResult("SoftCap", func(y []float32) { SoftCap(y, x, 30) })
	matrixResult("SoftCapBackward", func(y []float32) { SoftCapBackward(y, x, dy, 30) })
	matrixResult("Softmax", func(y []float32) { Softmax(y, x, rows, cols) })
	matrixResult("CrossEntropy dlogits", func(dlogits []float32) {
		loss, lse := perRow(), perRow()
		ce := CrossEntropy[float32]{Rows: rows, Vocab: cols, Ignore: -1, Scale: 1}
		ce.ForwardBackward(loss, lse, dlogits, x, ids)
		results["CrossEntropy"] = [][]float32{loss, lse}
	})
	matrixResult("LayerNorm", func(y []float32) {
		mean, rstd := perRow(), perRow()
		LayerNorm(y, mean, rstd, x, gain, nil, rows, cols, 1e-5)
		matrixResult("LayerNormBackward dx", func(dx []float32) {
			dgain, dbias := channel(), channel()
			LayerNormBackward(dx, dgain, dbias, residual, dy, x, gain, mean, rstd, rows, cols)
			results["LayerNorm rows"] = [][]float32{mean, rstd, dgain, dbias}
		})
	})
	matrixResult("RMSNorm", func(y []float32) {
		rstd := perRow()
		RMSNorm(y, rstd, x, gain, rows, cols, 1e-5)
		matrixResult("RMSNormBackward dx", func(dx []float32) {
			dgain := channel()
			RMSNormBackward(dx, dgain, residual, dy, x, gain, rstd, rows, cols)
			results["RMSNorm rows"] = [][]float32{rstd, dgain}
		})
	})
	table := operand(cols * 3)
	EmbeddingBackward(table, operand(rows*3), ids, cols, 3)
	results["EmbeddingBackward"] = table
	dbias := channel()
	SumRows(dbias, dy, rows, cols)
	results["SumRows"] = dbias
	key, ctr := [2]uint32{1, 2}, [2]uint32{3, 4}
	matrixResult("Dropout", func(y []float32) { Dropout(y, x, 0.2, key, ctr) })
	matrixResult("DropPath", func(y []float32) { DropPath(y, x, rows, 0.2, key, ctr) })
	matrixResult("AdamW w", func(w []float32) {
		m, v := matrix(), matrix()
		Fill(v, 0.5)
		AdamW(w, x, m, v, nil, adamWStep(3))
		results["AdamW"] = [][]float32{m, v}
	})
	results["reductions"] = []any{Sum(x), SumSquares(x), MaxAbs(x), FirstNonFinite(x)}
	return results
}

// Results are bit-equal for any number of workers.
func TestVecWorkers(t *testing.T) {
	const rows, cols = 131, 517 // several pieces of every kernel
	run := func() map[string]any {
		seed := uint64(0)
		return runVec(rows, cols, func(n int) []float32 {
			seed++
			return randn[float32](n, 1, seed)
		})
	}
	eachImpl(t, func(t *testing.T) {
		var want map[string]any
		withProcs(1, func() { want = run() })
		for _, procs := range []int{2, 3, 8} {
			withProcs(procs, func() {
				for name, got := range run() {
					require.Equal(t, want[name], got, "%s with GOMAXPROCS = %d", name, procs)
				}
			})
		}
	})
}

// A NaN in the last element of x, dy, the residual and the gain reaches the
// last element of everything computed from them.
func TestVecPropagatesNaN(t *testing.T) {
	const rows, cols, inputs = 3, 45, 4
	eachImpl(t, func(t *testing.T) {
		calls := 0
		results := runVec(rows, cols, func(n int) []float32 {
			calls++
			x := randn[float32](n, 1, uint64(calls))
			if calls <= inputs {
				x[n-1] = float32(math.NaN())
			}
			return x
		})
		isNaN := func(name string, x []float32) {
			last := x[len(x)-1]
			require.True(t, last != last, "%s ends in %v", name, last)
		}
		delete(results, "EmbeddingBackward") // has an input of its own
		for name, result := range results {
			switch result := result.(type) {
			case []float32:
				isNaN(name, result)
			case [][]float32:
				for _, x := range result {
					isNaN(name, x)
				}
			case []any:
				require.Equal(t, rows*cols-1, result[3], "FirstNonFinite")
				require.True(t, math.IsNaN(result[0].(float64)) && math.IsNaN(result[1].(float64)), "Sum and SumSquares")
				isNaN("MaxAbs", []float32{result[2].(float32)})
			}
		}
	})
}
