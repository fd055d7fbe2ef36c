package solvers_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// mixed is a bench of float32 and float64 parameters, a scalar among them.
func mixed(t *testing.T, order ...string) *bench {
	b := newBench(t)
	for _, name := range order {
		switch name {
		case "matrix":
			b.add(name, graph.Weight, float32s([]int{2, 3}, 1, -2, 3, -4, 5, -6))
		case "bias":
			b.add(name, graph.Bias, float64s([]int{3}, 0.1, 0.2, 0.3))
		case "gain":
			b.add(name, graph.NormGain, float32s([]int{1}, 1))
		case "temperature":
			b.add(name, graph.Scalar, tensor.New(tensor.WithBacking([]float64{0.7}), tensor.WithShape()))
		}
	}
	return b
}

var registered = []string{"matrix", "bias", "gain", "temperature"}

// walk takes steps from..to with gradients that depend on name, step and weight.
func walk(t *testing.T, b *bench, s stateful, from, to int) {
	t.Helper()
	for step := from; step <= to; step++ {
		for name, p := range b.pairs {
			g := p.weights()
			for i := range g {
				g[i] = math.Sin(float64(step*(i+1))) + 0.3*g[i] + float64(len(name))/7
			}
			p.set(g...)
		}
		require.NoError(t, s.Step(b.list()))
	}
}

// kinds are all solvers with state, by constructors with every option that
// enters a step.
func kinds(t *testing.T, b *bench) map[string]stateful {
	sched := []solvers.Option{solvers.WithSchedule(solvers.WarmupCosine(3, 12, 0.1)), solvers.WithDecaySchedule(solvers.Linear(2, 15, 0.5))}
	out := map[string]stateful{}
	for _, mode := range []solvers.Mode{solvers.LRCoupled, solvers.Independent, solvers.Corrected} {
		s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()), sched[0], sched[1], solvers.WithMode(mode),
			solvers.WithClipGlobalNorm(1), solvers.WithAMSGrad())
		require.NoError(t, err)
		out["adamw "+mode.String()] = s
	}
	s, err := solvers.NewAdafactor(b.split(groups.GPT2Policy()), sched[0], sched[1], solvers.WithClipGlobalNorm(1))
	require.NoError(t, err)
	out["adafactor"] = s
	return out
}

func allWeights(b *bench) string {
	out := ""
	for _, name := range registered {
		out += fmt.Sprint(name, b.pairs[name].weights(), "\n")
	}
	return out
}

// T3, and the resume of every solver: stop at k, restore into a fresh solver
// over parameters registered in another order, continue; the bits are those of
// the run that was not interrupted.
func TestResumeIsBitExact(t *testing.T) {
	const steps = 14
	for kind := range kinds(t, mixed(t, registered...)) {
		t.Run(kind, func(t *testing.T) {
			whole := mixed(t, registered...)
			s := kinds(t, whole)[kind]
			walk(t, whole, s, 1, steps)
			for k := 0; k <= steps; k++ {
				first := mixed(t, registered...)
				before := kinds(t, first)[kind]
				walk(t, first, before, 1, k)
				state := before.State()

				second := mixed(t, "temperature", "gain", "matrix", "bias")
				for name, p := range second.pairs {
					require.NoError(t, tensor.Copy(p.Value().(*tensor.Dense), first.pairs[name].Value().(*tensor.Dense)))
				}
				after := kinds(t, second)[kind]
				require.NoError(t, after.Restore(state))
				require.Equal(t, k, after.Steps())
				walk(t, second, after, k+1, steps)
				require.Equal(t, allWeights(whole), allWeights(second), "stopped at %d", k)
				require.Equal(t, s.State(), after.State(), "stopped at %d", k)
			}
		})
	}
}

func TestStateIsACopyAndStateViewIsNot(t *testing.T) {
	b := mixed(t, registered...)
	s := newAdamW(t, b)
	walk(t, b, s, 1, 1)
	snapshot, view := s.State(), s.StateView()
	old := elements(snapshot.Params["bias"].Tensors["exp_avg"])
	walk(t, b, s, 2, 2)
	assert.Equal(t, old, elements(snapshot.Params["bias"].Tensors["exp_avg"]))
	assert.NotEqual(t, old, elements(view.Params["bias"].Tensors["exp_avg"]))
	require.NoError(t, s.Restore(snapshot))
	walk(t, b, s, 3, 3)
	assert.Equal(t, old, elements(snapshot.Params["bias"].Tensors["exp_avg"]), "Restore copies")
}

// A parameter that had no gradient has its own step count, as in PyTorch.
func TestSkippedParametersKeepTheirStep(t *testing.T) {
	b := mixed(t, registered...)
	s := newAdamW(t, b, solvers.WithNilGrad(solvers.Skip))
	gain := b.pairs["gain"]
	grad := gain.grad
	gain.grad = nil
	for _, name := range []string{"matrix", "bias", "temperature"} {
		p := b.pairs[name]
		p.set(p.weights()...)
	}
	require.NoError(t, s.Step(b.list()))
	assert.Equal(t, []float64{1}, gain.weights(), "no decay either")
	gain.grad = grad
	walk(t, b, s, 2, 2)
	state := s.State()
	assert.Equal(t, 1, state.Params["gain"].Step)
	assert.Equal(t, 2, state.Params["matrix"].Step)
	assert.Equal(t, 2, state.Step)
}

func TestRestoreRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*solvers.State)
		want  solvers.StateError
	}{
		{"missing parameters", func(s *solvers.State) { delete(s.Params, "gain"); delete(s.Params, "bias") },
			solvers.StateError{Missing: []string{"bias", "gain"}}},
		{"missing moment", func(s *solvers.State) { delete(s.Params["gain"].Tensors, "exp_avg") },
			solvers.StateError{Missing: []string{"gain/exp_avg"}}},
		{"extra parameter", func(s *solvers.State) { s.Params["ghost"] = solvers.ParamState{} },
			solvers.StateError{Extra: []string{"ghost"}}},
		{"extra moment", func(s *solvers.State) { s.Params["gain"].Tensors["max_exp_avg_sq"] = float32s([]int{1}, 1) },
			solvers.StateError{Extra: []string{"gain/max_exp_avg_sq"}}},
		{"shape", func(s *solvers.State) {
			s.Params["matrix"].Tensors["exp_avg"] = float32s([]int{3, 2}, 0, 0, 0, 0, 0, 0)
		}, solvers.StateError{Reshaped: []string{"matrix/exp_avg: (3, 2) float32, want (2, 3) float32"}}},
		{"dtype", func(s *solvers.State) { s.Params["gain"].Tensors["exp_avg"] = float64s([]int{1}, 0) },
			solvers.StateError{Reshaped: []string{"gain/exp_avg: (1) float64, want (1) float32"}}},
		{"NaN", func(s *solvers.State) { s.Params["bias"].Tensors["exp_avg"] = float64s([]int{3}, 0, 0, math.NaN()) },
			solvers.StateError{Invalid: []string{"bias/exp_avg[2] = NaN, want a finite number"}}},
		{"negative square", func(s *solvers.State) { s.Params["gain"].Tensors["exp_avg_sq"] = float32s([]int{1}, -1) },
			solvers.StateError{Invalid: []string{"gain/exp_avg_sq[0] = -1, want a finite number >= 0"}}},
		{"negative step", func(s *solvers.State) { s.Step = -1 },
			solvers.StateError{Invalid: []string{"bias: step = 2, want 0 <= step <= -1", "gain: step = 2, want 0 <= step <= -1",
				"matrix: step = 2, want 0 <= step <= -1", "step = -1, want >= 0", "temperature: step = 2, want 0 <= step <= -1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mixed(t, registered...)
			s := newAdamW(t, b)
			walk(t, b, s, 1, 2)
			state := s.State()
			walk(t, b, s, 3, 3)
			before := image(b, s)
			c.spoil(&state)
			err := s.Restore(state)
			var se *solvers.StateError
			require.ErrorAs(t, err, &se)
			require.Equal(t, c.want, *se)
			for _, names := range [][]string{c.want.Missing, c.want.Extra, c.want.Reshaped, c.want.Invalid} {
				for _, name := range names {
					require.ErrorContains(t, err, name)
				}
			}
			require.Equal(t, before, image(b, s))
		})
	}
	b := mixed(t, registered...)
	s := newAdamW(t, b)
	require.ErrorContains(t, s.Restore(solvers.State{Solver: "adafactor"}), `"adafactor", want "adamw"`)
}

// A tensor whose elements lie in another order would restore another matrix.
func TestRestoreRefusesTensorsInAnotherOrder(t *testing.T) {
	b := newBench(t)
	b.add("square", graph.Weight, float64s([]int{2, 2}, 1, 2, 3, 4))
	b.add("bias", graph.Bias, float64s([]int{1}, 1))
	s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()))
	require.NoError(t, err)
	walk(t, b, s, 1, 1)
	before := s.State()
	for _, turned := range []*tensor.Dense{
		float64s([]int{2, 2}, 1, 2, 3, 4),
		tensor.New(tensor.WithShape(2, 2), tensor.AsFortran([]float64{1, 2, 3, 4})),
	} {
		if turned.DataOrder().IsRowMajor() {
			require.NoError(t, turned.T())
		}
		st := s.State()
		st.Params["square"].Tensors["exp_avg"] = turned
		var e *solvers.StateError
		require.ErrorAs(t, s.Restore(st), &e)
		require.Len(t, e.Reshaped, 1)
		require.Contains(t, e.Reshaped[0], "square/exp_avg: graph: tensor of shape (2, 2) has strides [1 2]")
		require.Equal(t, before, s.State())
	}
}
