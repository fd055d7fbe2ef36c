package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
)

// The comparison with stock ops is fair only if they compute the same: the
// loss, and by way of the losses after updates the gradients.
func TestStockModelTrainsLikeOurs(t *testing.T) {
	ours, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(3))
	require.NoError(t, err)
	loss, feed, err := ourModel(ours, tiny)
	require.NoError(t, err)
	prog, err := graph.Compile(loss, ours)
	require.NoError(t, err)

	stock, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	stockLoss, stockFeed, err := stockModel(stock, tiny)
	require.NoError(t, err)
	require.Len(t, stock.All(), len(ours.All()))
	for _, p := range stock.All() {
		source := ours.Get(p.Name())
		require.NotNil(t, source, p.Name())
		require.Equal(t, source.Role(), p.Role(), p.Name())
		to, _, err := graph.Floats(p.Value())
		require.NoError(t, err)
		from, _, err := graph.Floats(source.Value())
		require.NoError(t, err)
		require.Equal(t, len(from), copy(to, from), p.Name())
	}
	stockProg, err := graph.Compile(stockLoss, stock)
	require.NoError(t, err)

	solver := func() gorgonia.Solver { return gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.5)) }
	for range 5 {
		a, err := prog.Step(context.Background(), solver(), feed)
		require.NoError(t, err)
		b, err := stockProg.Step(context.Background(), solver(), stockFeed)
		require.NoError(t, err)
		require.InDelta(t, a.Loss, b.Loss, 2e-5*a.Loss)
	}
}

func TestTrainingInChildren(t *testing.T) {
	var log bytes.Buffer
	subjects := []string{oursAdamW, oneThread, oursAdam, stockOps}
	rows, err := measureTraining(context.Background(), quick(&log), subjects, tiny)
	require.NoError(t, err)
	found := values(t, rows, "tiny")
	for _, subject := range subjects {
		require.Positive(t, found[subject])
		require.InEpsilon(t, 12/found[subject], found[subject+"_tokens_per_second"], 1e-9)
		require.Contains(t, found, subject+"_allocated")
		if _, err := os.Stat("/proc/self/status"); err == nil {
			require.Greater(t, found[subject+"_peak_rss"], 1e6)
		}
	}
	require.Contains(t, found, "train_step_speedup_over_stock_ops")
}

func TestTrainingBesidePeers(t *testing.T) {
	var log bytes.Buffer
	rows, err := measureTraining(context.Background(), withPeer(t, "present", quick(&log)), []string{oursAdamW}, tiny)
	require.NoError(t, err)
	found := values(t, rows, "tiny")
	require.Equal(t, 1.0, found["train_step_torch_2.0_eager"])
	require.Equal(t, 12.0, found["train_step_torch_2.0_compiled_tokens_per_second"])
	require.Equal(t, float64(1<<30), found["train_step_torch_2.0_eager_peak_rss"])
	require.Greater(t, found["train_step_speedup_over_torch_2.0_eager"], 1.0)
}

func TestPeersShareRoundsUnlessTheyAreLarge(t *testing.T) {
	setups := []torchSetup{{"python", "eager"}, {"python", "compiled"}}
	for _, g := range trainCases {
		want := [][]torchSetup{setups}
		if g.Name == "124M_T1024" {
			want = [][]torchSetup{setups[:1], setups[1:]}
		}
		require.Equal(t, want, heats(g, setups), g.Name)
		require.Len(t, heats(g, nil), 1, "without peers ours still runs")
	}
}

func TestMissingPeerIsNoted(t *testing.T) {
	for _, s := range []settings{withPeer(t, "missing", quick(nil)), {peers: true, pythons: []string{"/nonexistent/python"}}} {
		var log bytes.Buffer
		s.schedule = schedule{rounds: 1, log: &log}
		rows, err := measureTraining(context.Background(), s, []string{oursAdamW}, tiny)
		require.NoError(t, err)
		require.Contains(t, values(t, rows, "tiny"), oursAdamW)
		require.Contains(t, log.String(), "no comparison with PyTorch (eager): torch_step.py with "+s.pythons[0])
	}
}

func TestFailingPeerIsLeftOut(t *testing.T) {
	var log bytes.Buffer
	s := withPeer(t, "failing", quick(&log))
	s.turn = 3 * time.Second // the peer says that a step takes a second
	peer, err := torchSetup{s.pythons[0], "eager"}.launch(context.Background(), s, oursAdamW, tiny, 1)
	require.NoError(t, err)
	defer peer.close()
	ours := local{label: "ours", step: func() error { return nil }}
	results, err := alternate(context.Background(), s.schedule, []contender{ours, peer})
	require.NoError(t, err)
	require.Len(t, results[0].seconds, 2)
	require.Empty(t, results[1].seconds)
	require.Contains(t, log.String(), "train_step_torch_2.0_eager: the process ended early")

	failing := local{label: "ours", step: func() error { return errors.New("broken") }}
	_, err = alternate(context.Background(), s.schedule, []contender{failing})
	require.ErrorContains(t, err, "ours: broken")
}

func TestChildRefuses(t *testing.T) {
	_, err := spawn(context.Background(), job{Subject: "nosuch", Case: tiny})
	require.ErrorContains(t, err, `subject = "nosuch"`)
	bad := tiny
	bad.H = 3
	_, err = spawn(context.Background(), job{Subject: oursAdamW, Case: bad})
	require.ErrorContains(t, err, "heads")

	var out bytes.Buffer
	require.Equal(t, 1, serve("not JSON", &bytes.Buffer{}, &out))
	require.Contains(t, out.String(), `"error"`)
}

func TestDeadProcessIsAnError(t *testing.T) {
	p, err := spawn(context.Background(), job{Subject: oursAdamW, Case: tiny})
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Kill())
	_, err = p.run(1)
	require.Error(t, err)
	require.Error(t, p.close())
}

func BenchmarkTrainStep(b *testing.B) {
	for _, g := range trainCases[:2] {
		b.Run(g.Name, func(b *testing.B) {
			t, err := newTrainer(job{Subject: oursAdamW, Case: g})
			require.NoError(b, err)
			defer t.close()
			_, err = t.run(1)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, err = t.run(1)
				require.NoError(b, err)
			}
			b.ReportMetric(g.tokens()*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

func BenchmarkOptimizer(b *testing.B) {
	const n = 1e6
	for _, name := range []string{"adamw_kernel", "adamw_step", "adamw_step_user", "stock_adam_step"} {
		b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
			c, err := newOptimizer(name, newHandedParam(n))
			require.NoError(b, err)
			_, err = c.run(1)
			require.NoError(b, err)
			b.ReportAllocs()
			b.SetBytes(adamWTraffic * n)
			for b.Loop() {
				_, err = c.run(1)
				require.NoError(b, err)
			}
		})
	}
}
