package op

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
)

func TestGradientsEqualFiniteDifferences(t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			want := newRig[float64](t, c, nil).numeric(t)

			tape := newRig[float64](t, c, nil)
			run, grads := tape.tape(t)
			for range 2 { // the second run reuses every buffer
				run()
				var got [][]float64
				for _, g := range grads {
					got = append(got, float64s(t, g.Value()))
				}
				requireClose(t, want, got, 1e-6, 1e-9, "TapeMachine")
			}

			lisp := newRig[float64](t, c, nil).lisp(t)
			requireClose(t, want, lisp, 1e-6, 1e-9, "LispMachine")
		})
	}
}

// Stock ops overwrite their operands in place where they can: results and
// gradients must not depend on it.
func TestGradientsAmongStockOps(t *testing.T) {
	between := func(y *gorgonia.Node) *gorgonia.Node {
		if y.IsScalar() {
			return y
		}
		c := gorgonia.NewConstant(0.5)
		z := gorgonia.Must(gorgonia.Sub(y, c))
		z = gorgonia.Must(gorgonia.HadamardProd(z, z))
		return gorgonia.Must(gorgonia.Add(z, c))
	}
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			build := c.build
			c.build = func(x gorgonia.Nodes) (*gorgonia.Node, error) {
				x = append(gorgonia.Nodes(nil), x...)
				for i, a := range c.in {
					if a.differentiable() {
						x[i] = gorgonia.Must(gorgonia.Tanh(gorgonia.Must(gorgonia.Mul(x[i], gorgonia.NewConstant(0.75)))))
					}
				}
				return build(x)
			}
			want := newRig[float64](t, c, between).numeric(t)
			run, grads := newRig[float64](t, c, between).tape(t)
			for range 2 {
				run()
				var got [][]float64
				for _, g := range grads {
					got = append(got, float64s(t, g.Value()))
				}
				requireClose(t, want, got, 1e-6, 1e-9, "TapeMachine")
			}
		})
	}
}

func TestFloat32FollowsFloat64(t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			r64, r32 := newRig[float64](t, c, nil), newRig[float32](t, c, nil)
			run64, grads64 := r64.tape(t)
			run32, grads32 := r32.tape(t)
			run64()
			run32()
			nodes64, nodes32 := append(grads64, r64.y), append(grads32, r32.y)
			for i := range nodes64 {
				want, got := float64s(t, nodes64[i].Value()), float64s(t, nodes32[i].Value())
				requireClose(t, [][]float64{want}, [][]float64{got}, 1e-5, 1e-6, nodes64[i].String())
			}
		})
	}
}

// many makes the cases large enough to be cut into several tasks.
const many = 300

func TestOpsAllocateNothingThatGrows(t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			bytes := func(c opCase) int {
				run, _ := newRig[float32](t, c, nil).tape(t)
				run()
				least := math.MaxInt // how many workspaces are in use at once is chance
				for range 5 {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					run()
					runtime.ReadMemStats(&after)
					least = min(least, int(after.TotalAlloc-before.TotalAlloc))
				}
				return least
			}
			small, large := bytes(c), bytes(c.larger(many))
			// The bookkeeping of a task is not a tensor: one number for each
			// token of two sequences of 5 is 12 kB.
			require.Less(t, large, small+(11<<10), "bytes a run")
		})
	}
}

func TestBitEqualForEveryGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			var want [][]float64
			for _, procs := range []int{1, 2, 3, 8} {
				runtime.GOMAXPROCS(procs)
				r := newRig[float32](t, c.larger(many), nil)
				run, grads := r.tape(t)
				run()
				var got [][]float64
				for _, n := range append(grads, r.y) {
					got = append(got, float64s(t, n.Value()))
				}
				if want == nil {
					want = got
				}
				require.Equal(t, want, got, "GOMAXPROCS = %d", procs)
			}
		})
	}
}
