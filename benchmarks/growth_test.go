package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScalingSuite(t *testing.T) {
	base := tiny
	base.Context = 4 * base.T
	for _, axis := range scalingSuite.benchmarks[0].long[:4] {
		cases, sizes := grown(axis, base)
		require.Len(t, cases, 4)
		for i := range 3 {
			require.Equal(t, 2*sizes[i], sizes[i+1])
			require.NotEqual(t, cases[i], cases[i+1])
			require.NoError(t, cases[i].config().Validate(), axis)
			require.LessOrEqual(t, cases[i].T, cases[i].Context)
		}
	}
	var log bytes.Buffer
	rows, err := measureGrowth(context.Background(), quick(&log), "depth", tiny)
	require.NoError(t, err)
	byCase := map[string]float64{}
	for _, r := range rows {
		byCase[r.Name+" "+r.Case] = r.Value
	}
	require.Positive(t, byCase["scaling_time depth=16"])
	require.Contains(t, byCase, "scaling_time_exponent depth")

	rows, err = measureSizes(context.Background(), quick(&log), []gptCase{tiny})
	require.NoError(t, err)
	found := values(t, rows, "tiny")
	n := float64(tiny.config().NumParams())
	require.InEpsilon(t, found["scaling_time"]*1e12/(12*n), found["scaling_time_per_token_and_param"], 1e-9)
}

func TestRooflineSuite(t *testing.T) {
	var log bytes.Buffer
	rows, err := measureRoofline(context.Background(), quick(&log), tiny)
	require.NoError(t, err)
	found := values(t, rows, "tiny")
	require.Positive(t, found["step"])
	require.Positive(t, found["limit"])

	s := quick(&log)
	s.profiled = true
	rows, err = measureRoofline(context.Background(), s, tiny)
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Contains(t, log.String(), "a profile is being taken: no roofline")
}

const traces = `File: benchmarks
Type: cpu
Duration: 9.10s, Total samples = 1000ms (43.76%)
-----------+-------------------------------------------------------
     300ms   github.com/gorget/gorget/internal/kernel.sgemmTileAVX512
             github.com/gorget/gorget/internal/kernel.(*product[go.shape.float32]).block
             github.com/gorget/gorget/internal/kernel.(*workerPool).serve
-----------+-------------------------------------------------------
     200ms   github.com/gorget/gorget/internal/kernel.sgemmTileRowsAVX512
             github.com/gorget/gorget/internal/kernel.(*attnWork[go.shape.float32]).mulRows
-----------+-------------------------------------------------------
     100ms   github.com/gorget/gorget/internal/kernel.(*loops[go.shape.float32]).layerNorm
-----------+-------------------------------------------------------
     250ms   sync/atomic.(*Bool).Load (inline)
             github.com/gorget/gorget/internal/kernel.sleeper.sleepUntil
             github.com/gorget/gorget/internal/kernel.(*workerPool).serve
-----------+-------------------------------------------------------
     150ms   runtime.mallocgc
             main.main
-----------+-------------------------------------------------------
`

func TestTimeIsAttributedToParts(t *testing.T) {
	stacks, err := parseTraces(traces)
	require.NoError(t, err)
	require.Len(t, stacks, 5)
	require.Equal(t, 0.3, stacks[0].seconds)
	rows := attribute("tiny", parts(tiny), stacks, 1, machineLimits{flops: 1e9, bandwidth: 1e9})
	found := values(t, rows, "tiny")
	for name, share := range map[string]float64{
		"product": 0.3, "attention": 0.2, "norm": 0.1, "waiting": 0.25, "rest": 0.15, "optimizer": 0, "loss": 0,
	} {
		require.InDelta(t, share, found[name+"_share"], 1e-12, name)
	}
	// 6 FLOPs a token and matrix element, 12 tokens, at 1 GFLOP/s.
	least := 6 * 12 * float64(12*2*16*16+11*16) / 1e9
	require.InEpsilon(t, least/found["product"], found["product_of_limit"], 1e-9)
	require.NotContains(t, found, "optimizer_of_limit")

	_, err = parseTraces("heading\n-----------+---\n   soon   f\n")
	require.ErrorContains(t, err, "want a time in ms")
}
