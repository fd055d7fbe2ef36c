package op

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// nodes of a graph for error tests.
func matrix(g *gorgonia.ExprGraph, name string, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

func integers(g *gorgonia.ExprGraph, name string, dt tensor.Dtype, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(g, dt, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

func TestBuildRefuses(t *testing.T) {
	g := gorgonia.NewGraph()
	x, w := matrix(g, "x", 2, 3, 4), matrix(g, "w", 4, 5)
	four, five := matrix(g, "four", 4), matrix(g, "five", 5)
	ids, clock := integers(g, "ids", tensor.Int32, 2, 3), integers(g, "clock", tensor.Int64, 2)
	f64 := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(5), gorgonia.WithName("f64"))
	drop := Random{Clock: clock}
	attention := func(o AttentionOptions, qkv ...*gorgonia.Node) error {
		_, err := Attention(o, qkv...)
		return err
	}
	second := func(_ *gorgonia.Node, err error) error { return err }
	for _, c := range []struct {
		want string
		err  error
	}{
		{"op: Linear: x = nil", second(Linear(nil, w, nil, LinearOptions{}))},
		{"op: Linear: w = <nil>", second(Linear(x, nil, nil, LinearOptions{}))},
		{"shape of x = (4), want at least 2 dimensions", second(Linear(four, w, nil, LinearOptions{}))},
		{"op: Linear: shape of w = (4, 5), want (4, 4)", second(Linear(x, w, nil, LinearOptions{OutIn: true}))},
		{"op: Linear: shape of b = (4), want (5)", second(Linear(x, w, four, LinearOptions{}))},
		{"want float32 as the inputs before it", second(Linear(x, w, f64, LinearOptions{}))},
		{"op: LayerNorm: shape of gain = (5), want (4)", second(LayerNorm(x, five, nil, 1e-5))},
		{"op: LayerNorm: shape of bias = (5), want (4)", second(LayerNorm(x, four, five, 1e-5))},
		{"op: RMSNorm: gain = nil", second(RMSNorm(x, nil, 1e-5))},
		{"op: RMSNorm: eps = -1", second(RMSNorm(x, four, -1))},
		{"op: Add: shape of b = (4, 5)", second(Add(x, w))},
		{"op: Scale: x = nil", second(Scale(nil, 2))},
		{"op: GELUTanh: x = nil", second(GELUTanh(nil))},
		{"op: SwiGLU: x = nil", second(SwiGLU(nil))},
		{"op: GeGLU: shape of x = (4, 5), want an even last dimension", second(GeGLU(w))},
		{"op: Linear: 2 weights and 1 biases", second(Linears(x, gorgonia.Nodes{w, w}, gorgonia.Nodes{five}, LinearOptions{}))},
		{"op: SoftCap: cap = 0", second(SoftCap(x, 0))},
		{"op: Embedding: ids = ", second(Embedding(x, w, nil, 1))},
		{"op: Embedding: table = ", second(Embedding(ids, x, nil, 1))},
		{"op: Embedding: T = 3, want T <= 2", second(Embedding(ids, w, matrix(g, "p", 2, 5), 1))},
		{"shape of positions = (7, 4), want (7, 5)", second(Embedding(ids, w, matrix(g, "q", 7, 4), 1))},
		{"op: AddPositions: positions", second(AddPositions(x, matrix(g, "r", 2, 4)))},
		{"op: Dropout: p = 1, want 0 <= p < 1", second(Dropout(x, 1, drop))},
		{"op: Dropout: clock = <nil>", second(Dropout(x, .5, Random{}))},
		{"op: DropPath: p = -0.1", second(DropPath(x, -.1, drop))},
		{"heads = 3 and kv heads = 2", attention(AttentionOptions{Heads: 3, KVHeads: 2, HeadSize: 4}, x)},
		{"head size = 0, want 1 to 256", attention(AttentionOptions{Heads: 1}, x)},
		{"shape of qkv = (2, 3, 4), want (2, 3, 6)", attention(AttentionOptions{Heads: 1, HeadSize: 2}, x)},
		{"shape of k = (4, 5), want (2, 3, 4)", attention(AttentionOptions{Heads: 1, HeadSize: 4}, x, w, x)},
		{"inputs = ", attention(AttentionOptions{Heads: 1, HeadSize: 4}, x, x)},
		{"window = -1", attention(AttentionOptions{Heads: 1, HeadSize: 4, Window: -1}, x, x, x)},
		{"scale = -1", attention(AttentionOptions{Heads: 1, HeadSize: 4, Scale: -1}, x, x, x)},
		{"soft-cap = -1", attention(AttentionOptions{Heads: 1, HeadSize: 4, SoftCap: -1}, x, x, x)},
		{"head size = 1, want an even one for RoPE", attention(AttentionOptions{Heads: 4, HeadSize: 1, RoPE: rope(1e4, false)}, x, x, x)},
		{"dropout = 1", attention(AttentionOptions{Heads: 1, HeadSize: 4, Dropout: 1, Random: drop}, x, x, x)},
		{"shape of tokens = (2)", attention(AttentionOptions{Heads: 1, HeadSize: 4, Tokens: clock}, x, x, x)},
		{"targets = ", second(CrossEntropy(x, nil, LossOptions{Ignore: -1}))},
		{"want 6 targets", second(CrossEntropy(x, clock, LossOptions{Ignore: -1}))},
		{"ignored target = 2, want a number", second(CrossEntropy(x, ids, LossOptions{Ignore: 2}))},
		{"weight of the z-loss = -1", second(CrossEntropy(x, ids, LossOptions{Ignore: -1, ZLoss: -1}))},
		{"op: LinearCrossEntropy: w = ", second(LinearCrossEntropy(x, four, ids, HeadOptions{LossOptions: LossOptions{Ignore: -1}}))},
		{"soft-cap = -1", second(LinearCrossEntropy(x, matrix(g, "h", 7, 4), ids, HeadOptions{LossOptions: LossOptions{Ignore: -1}, LogitSoftCap: -1}))},
		{"theta = 0", func() error { _, err := NewRoPE(0, false); return err }()},
	} {
		require.ErrorContains(t, c.err, c.want)
	}
}

// runError builds a graph of one op and returns the error of its run.
func runError(t *testing.T, in map[*gorgonia.Node]any, y *gorgonia.Node) error {
	t.Helper()
	for n, backing := range in {
		require.NoError(t, gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(backing))))
	}
	vm := gorgonia.NewTapeMachine(y.Graph())
	defer vm.Close()
	return vm.RunAll()
}

func TestIDsOutsideOfTheVocabulary(t *testing.T) {
	for _, c := range []struct {
		dtype   tensor.Dtype
		backing any
		want    string
	}{
		{tensor.Int32, []int32{0, 4, 3, 5}, "ids[3] = 5, want 0 <= id < 5, the size of the vocabulary"},
		{tensor.Int, []int{0, -1, 3, 4}, "ids[1] = -1, want 0 <= id < 5"},
		{tensor.Int64, []int64{0, 1, 1 << 40, 4}, "element 2 = 1099511627776, want a number of 32 bits"},
	} {
		g := gorgonia.NewGraph()
		ids, table := integers(g, "ids", c.dtype, 2, 2), matrix(g, "table", 5, 1)
		y, err := Embedding(ids, table, nil, 1)
		require.NoError(t, err)
		err = runError(t, map[*gorgonia.Node]any{ids: c.backing, table: make([]float32, 5)}, y)
		require.ErrorContains(t, err, c.want)
	}
	g := gorgonia.NewGraph()
	logits, targets := matrix(g, "logits", 2, 3), integers(g, "targets", tensor.Int32, 2)
	y, err := CrossEntropy(logits, targets, LossOptions{Ignore: -100})
	require.NoError(t, err)
	err = runError(t, map[*gorgonia.Node]any{logits: make([]float32, 6), targets: []int32{-100, 3}}, y)
	require.ErrorContains(t, err, "targets[1] = 3, want 0 <= target < 3, the size of the vocabulary, or -100 to ignore it")
}

type panics[T kernel.Float] struct{ add[T] }

func (panics[T]) forward([]T, *inputs[T]) error { panic("kernel: slices too short") }

// Gorgonia runs ops in a goroutine of its own: a panic there would end the
// process.
func TestPanicBecomesError(t *testing.T) {
	g := gorgonia.NewGraph()
	x := matrix(g, "x", 2, 2)
	y, err := build(spec{name: "Panics", in: gorgonia.Nodes{x}, shape: x.Shape()}, panics[float32]{}, panics[float64]{})
	require.NoError(t, err)
	err = runError(t, map[*gorgonia.Node]any{x: make([]float32, 4)}, y)
	require.ErrorContains(t, err, "Panics: kernel: slices too short")
}
