package main

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/internal/kernel"
)

func TestOptimizerSuite(t *testing.T) {
	var log bytes.Buffer
	var wanted []string
	for _, b := range optimizerSuite.benchmarks {
		wanted = append(wanted, b.name)
	}
	rows, err := measureOptimizer(context.Background(), withPeer(t, "present", quick(&log)), wanted, "tiny", 1000)
	require.NoError(t, err)
	found := values(t, rows, "tiny")
	for _, name := range wanted {
		require.Positive(t, found[name], name)
	}
	require.Greater(t, found["stock_adam_step_allocated"], 8.0, "Gorgonia's Adam makes copies of what it works on")
	require.Contains(t, found, "adamw_kernel_of_copy_bandwidth")
	require.Contains(t, found, "adamw_step_speedup_over_stock_adam_step")
	require.Equal(t, 1e6, found["adamw_step_torch_2.0_eager"], "a second for 1000 parameters, in nanoseconds each")
}

// What is timed must be what a user gets: the step moves the weights, and the
// gradients are zeroed unless the next run overwrites them.
func TestOptimizersMoveTheWeights(t *testing.T) {
	for _, name := range []string{"adamw_step", "adamw_step_user", "stock_adam_step", "adamw_kernel"} {
		t.Run(name, func(t *testing.T) {
			p := newHandedParam(100)
			start, gradient := slices.Clone(p.w.Float32s()), slices.Clone(p.g.Float32s())
			c, err := newOptimizer(name, p)
			require.NoError(t, err)
			r, err := c.run(3)
			require.NoError(t, err)
			require.Len(t, r.Seconds, 3)
			moved := 0
			for i, w := range p.w.Float32s() {
				if w != start[i] {
					moved++
				}
			}
			require.GreaterOrEqual(t, moved, 98, "all but those whose weight and gradient are zero")
			if name == "adamw_step_user" || name == "stock_adam_step" {
				require.Equal(t, make([]float32, 100), p.g.Float32s())
			} else {
				require.Equal(t, gradient, p.g.Float32s())
			}
		})
	}
}

func TestBLASSuite(t *testing.T) {
	for _, g := range []gemmShape{{false, false, 5, 7, 3}, {false, true, 5, 7, 3}, {true, false, 5, 7, 3}} {
		var log bytes.Buffer
		rows, err := measureBLAS(context.Background(), quick(&log), g)
		require.NoError(t, err)
		found := values(t, rows, g.String())
		require.Len(t, found, 8)
		for _, name := range []string{"gemm_blas", "gemm_gonum", "gemm_f64", "gemm_f64_gonum", "gemm_portable"} {
			require.Positive(t, found[name], name)
		}
		for _, name := range []string{"gemm_blas", "gemm_f64", "gemm_portable"} {
			require.Positive(t, found[name+"_speedup_over_gonum"], name)
		}
		s := quick(&log)
		s.profiled = true
		rows, err = measureBLAS(context.Background(), s, g)
		require.NoError(t, err)
		require.NotContains(t, values(t, rows, g.String()), "gemm_portable")
		require.Contains(t, log.String(), "no portable product")
	}
}

func TestPortableChildHasNoAssembly(t *testing.T) {
	p, err := spawn(context.Background(), job{Subject: portableGemm, Gemm: &blasShapes[0]}, kernel.CPUVariable+"=portable")
	require.NoError(t, err)
	defer p.close()
	require.Equal(t, "portable", p.info)
}

func TestGemmSuite(t *testing.T) {
	for _, g := range gemmShapes {
		require.Contains(t, gemmSuite.benchmarks[0].cases, g.String())
	}
	for _, g := range []gemmShape{{false, false, 5, 7, 3}, {false, true, 5, 7, 3}, {true, false, 5, 7, 3}} {
		var log bytes.Buffer
		rows, err := measureGemm(context.Background(), withPeer(t, "present", quick(&log)), g)
		require.NoError(t, err)
		found := values(t, rows, g.String())
		require.Positive(t, found["gemm"])
		require.InDelta(t, 2*5*7*3/1e9, found["gemm_openblas"], 1e-15)
		if kernel.InstructionSet() != "portable" {
			require.Positive(t, found["gemm_of_fma_peak"])
		}
	}
	var log bytes.Buffer
	rows, err := measureGemm(context.Background(), quick(&log), gemmShape{M: 2, N: 2, K: 2})
	require.NoError(t, err)
	require.NotContains(t, values(t, rows, "NN_2x2x2"), "gemm_openblas")
	require.Contains(t, log.String(), "no comparison with OpenBLAS")
}
