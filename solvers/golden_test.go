package solvers_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/golden"
	"github.com/gorget/gorget/solvers"
)

// adamWCase is a case of adamw.safetensors: see internal/golden/scripts/adamw.py.
type adamWCase struct {
	LR          float64
	Betas       [2]float64
	Eps         float64
	WeightDecay float64 `json:"weight_decay"`
	AMSGrad     bool
	Maximize    bool
	Clip        *float64
	Schedule    *string
	Groups      []struct {
		Params      []string
		LR          float64
		WeightDecay float64 `json:"weight_decay"`
	}
	Missing map[string][]int
}

// TestAdamWEqualsTorch takes 100 steps of every case that PyTorch took.
func TestAdamWEqualsTorch(t *testing.T) {
	f := golden.Load(t, "adamw")
	var header struct {
		Steps     int
		Snapshots []int
		Cases     map[string]adamWCase
	}
	f.Header(t, &header)
	require.GreaterOrEqual(t, len(header.Cases), 12)
	for name, c := range header.Cases {
		for _, dt := range []struct {
			label     string
			dtype     tensor.Dtype
			tolerance float64
		}{{"f64", tensor.Float64, 1e-12}, {"f32", tensor.Float32, 2e-6}} {
			t.Run(name+"/"+dt.label, func(t *testing.T) {
				b := newBench(t)
				grads := map[string][]golden.Tensor{}
				for param, init := range f.Under("init/") {
					b.add(param, graph.Bias, dense(init, dt.dtype))
					grads[param] = f.Tensor(t, "grad/"+param).Rows()
				}
				s := c.solver(t, b)
				snap := 0
				for step := 1; step <= header.Steps; step++ {
					for param, p := range b.pairs {
						p.grad = nil
						if !slices.Contains(c.Missing[param], step) {
							p.grad = dense(grads[param][step-1], dt.dtype)
						}
					}
					require.NoError(t, s.Step(b.list()))
					at := name + "/" + dt.label + "/"
					if c.Clip != nil {
						require.InEpsilon(t, f.Tensor(t, at+"norm").F64[step-1], s.GradNorm(), dt.tolerance)
					}
					if step != header.Snapshots[snap] {
						continue
					}
					state := s.State()
					for param, p := range b.pairs {
						row := func(kind string) golden.Tensor { return f.Tensor(t, at+kind+"/"+param).Rows()[snap] }
						require.LessOrEqual(t, golden.MaxDiff(p.weights(), row("param").Float64()), dt.tolerance, "%s after %d", param, step)
						require.Equal(t, int(row("step").I32[0]), state.Params[param].Step, "%s after %d", param, step)
						for kind, x := range state.Params[param].Tensors {
							require.LessOrEqual(t, golden.MaxDiff(elements(x), row(kind).Float64()), dt.tolerance, "%s of %s after %d", kind, param, step)
						}
						require.Len(t, state.Params[param].Tensors, map[bool]int{false: 2, true: 3}[c.AMSGrad])
					}
					snap++
				}
				require.Equal(t, len(header.Snapshots), snap)
			})
		}
	}
}

// solver makes the AdamW of the case.
func (c adamWCase) solver(t *testing.T, b *bench) *solvers.AdamW {
	var list []groups.Group
	for i, g := range c.Groups {
		own := groups.Group{Name: string(rune('a' + i)), Settings: groups.Settings{
			LRMult: groups.Value(g.LR / c.LR), WeightDecay: groups.Value(g.WeightDecay),
		}}
		for _, name := range g.Params {
			own.Params = append(own.Params, b.pairs[name].Param)
		}
		list = append(list, own)
	}
	gs, err := groups.New(b.params, list)
	require.NoError(t, err)
	opts := []solvers.AdamWOption{
		solvers.WithLR(c.LR), solvers.WithBetas(c.Betas[0], c.Betas[1]), solvers.WithEps(c.Eps),
		solvers.WithNilGrad(solvers.Skip),
	}
	if c.AMSGrad {
		opts = append(opts, solvers.WithAMSGrad())
	}
	if c.Maximize {
		opts = append(opts, solvers.WithMaximize())
	}
	if c.Clip != nil {
		opts = append(opts, solvers.WithClipGlobalNorm(*c.Clip))
	}
	if c.Schedule != nil { // the formula of the header
		opts = append(opts, solvers.WithSchedule(solvers.Func(func(step int) float64 {
			if step <= 10 {
				return float64(step) / 10
			}
			return 0.1 + 0.9*0.5*(1+math.Cos(math.Pi*float64(step-11)/90))
		})))
	}
	s, err := solvers.NewAdamW(gs, opts...)
	require.NoError(t, err)
	return s
}

// dense is a golden tensor as a value of a parameter.
func dense(x golden.Tensor, dt tensor.Dtype) *tensor.Dense {
	opts := []tensor.ConsOpt{tensor.WithShape(x.Shape...)}
	if dt == tensor.Float32 {
		return tensor.New(append(opts, tensor.WithBacking(slices.Clone(x.Float32())))...)
	}
	return tensor.New(append(opts, tensor.WithBacking(slices.Clone(x.Float64())))...)
}

var _ gorgonia.Solver = (*solvers.AdamW)(nil)
