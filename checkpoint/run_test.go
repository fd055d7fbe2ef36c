package checkpoint_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// run is a training run of a few numbers: every parameter is drawn to 0.
type run struct {
	ps    *graph.Params
	adamw *solvers.AdamW
	prog  *graph.Program
}

// runConfig is what such a run is configured by.
type runConfig struct {
	Steps  int       `json:"steps"`
	LR     float64   `json:"lr"`
	Betas  []float64 `json:"betas"`
	Out    string    `json:"out,omitempty"`
	Recipe struct {
		Decay float64 `json:"decay"`
		Note  string  `json:"note,omitempty"`
	} `json:"recipe"`
}

func newRunConfig() *runConfig {
	c := &runConfig{Steps: 20, LR: 0.05, Betas: []float64{0.9, 0.99}}
	c.Recipe.Decay = 0.1
	return c
}

func newRun(t testing.TB, list []param, dt tensor.Dtype, seed uint64) *run {
	t.Helper()
	ps := newParams(t, list, graph.WithDtype(dt), graph.WithSeed(seed))
	var cost *gorgonia.Node
	for _, p := range ps.All() {
		term := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(p.Node()))))
		if cost == nil {
			cost = term
		} else {
			cost = gorgonia.Must(gorgonia.Add(cost, term))
		}
	}
	gs, err := groups.Split(ps, groups.GPT2Policy())
	require.NoError(t, err)
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.05), solvers.WithSchedule(solvers.WarmupCosine(3, 20, 0.1)), solvers.WithAMSGrad())
	require.NoError(t, err)
	prog, err := graph.Compile(cost, ps)
	require.NoError(t, err)
	t.Cleanup(func() { prog.Close() })
	return &run{ps, adamw, prog}
}

func (r *run) train(t testing.TB, steps int) {
	for range steps {
		_, err := r.prog.Step(context.Background(), r.adamw, nil)
		require.NoError(t, err)
	}
}

func (r *run) snapshot() checkpoint.Snapshot {
	return checkpoint.Snapshot{
		Step: r.prog.Steps(), Params: r.ps, Solver: r.adamw.StateView(), Corpus: "sha256:1",
		Config: newRunConfig(), State: map[string]int{"evals": 3},
	}
}
