package graph_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// accepted lets Graphviz, where it is installed, draw the picture.
func accepted(t *testing.T, out []byte) {
	t.Helper()
	path, err := exec.LookPath("dot")
	if err != nil {
		return
	}
	cmd := exec.Command(path, "-Tsvg")
	cmd.Stdin = bytes.NewReader(out)
	svg, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(svg), "no_decay")
}

func TestDOT(t *testing.T) {
	draw := func() []byte {
		r := newRegression(t, newParams(t), 2)
		_, err := graph.Compile(r.cost, r.ps)
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, graph.WriteDOT(&b, r.cost, r.ps, func(p *graph.Param) string {
			return map[graph.Role]string{graph.Weight: "decay", graph.Bias: "no_decay"}[p.Role()]
		}))
		return b.Bytes()
	}
	out := draw()
	require.Equal(t, string(out), string(draw()), "two runs write the same bytes")
	for _, want := range []string{"cluster_legend", "decay", "no_decay", `w\n(2, 1) weight`, "backward", "gradients of 2 parameters"} {
		require.Contains(t, string(out), want)
	}
	require.Equal(t, 1, strings.Count(string(out), "backward"))
	accepted(t, out)
}

// The ops of gorget and their gradients are drawn alike in every build too.
func TestDOTOfAModel(t *testing.T) {
	draw := func() []byte {
		ps := newParams(t)
		m, err := gptblock.New(ps, gptblock.Config{
			Vocab: 11, Context: 8, Layers: 2, Channels: 12, Heads: 3, Tied: true,
			Position: gptblock.PositionRoPE, Norm: gptblock.NormRMS, Activation: gptblock.SwiGLU,
			NormEps: 1e-5, RoPETheta: 1e4, Layout: gptblock.LayoutLlama, EmbeddingDropout: .1, Block: gptblock.BlockPreNorm,
		})
		require.NoError(t, err)
		ids := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(2, 5), gorgonia.WithName("ids"))
		targets := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(2, 5), gorgonia.WithName("targets"))
		loss, err := m.Loss(ids, targets)
		require.NoError(t, err)
		prog, err := graph.Compile(loss, ps)
		require.NoError(t, err)
		defer prog.Close()
		gs, err := groups.Split(ps, groups.GPT2Policy())
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, graph.WriteDOT(&b, loss, ps, func(p *graph.Param) string { return gs.Of(p).Name }))
		return b.Bytes()
	}
	out := draw()
	require.Equal(t, string(out), string(draw()), "two builds draw the same bytes")
	for _, name := range []string{"model.layers.1.mlp.down_proj.weight", "Attention", "Dropout", "backward"} {
		require.Contains(t, string(out), name)
	}
	accepted(t, out)
}
