package solvers_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// float64s and float32s make row-major tensors.
func float64s(shape []int, x ...float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float64(nil), x...)))
}

func float32s(shape []int, x ...float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float32(nil), x...)))
}

// pair is a parameter with a gradient that the test sets.
type pair struct {
	*graph.Param
	grad      gorgonia.Value
	transient bool
}

func (p *pair) Grad() (gorgonia.Value, error) { return p.grad, nil }
func (p *pair) GradIsTransient() bool         { return p.transient }

// set overwrites the gradient.
func (p *pair) set(x ...float64) {
	f32, f64, err := graph.Floats(p.grad)
	if err != nil || len(x) != len(f32)+len(f64) {
		panic("set: wrong length")
	}
	for i := range f32 {
		f32[i] = float32(x[i])
	}
	copy(f64, x)
}

// weights are the elements as float64.
func (p *pair) weights() []float64 { return elements(p.Value()) }

func elements(v gorgonia.Value) []float64 {
	f32, f64, err := graph.Floats(v)
	if err != nil {
		panic(err)
	}
	out := append([]float64(nil), f64...)
	for _, x := range f32 {
		out = append(out, float64(x))
	}
	return out
}

// bench is a set of parameters without a graph around them.
type bench struct {
	t      *testing.T
	params *graph.Params
	pairs  map[string]*pair
	order  []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	return &bench{t: t, params: ps, pairs: map[string]*pair{}}
}

// add makes a parameter with the given start and a zero gradient.
func (b *bench) add(name string, role graph.Role, start *tensor.Dense) *pair {
	b.t.Helper()
	n := gorgonia.NewTensor(b.params.Graph(), start.Dtype(), start.Dims(), gorgonia.WithShape(start.Shape()...),
		gorgonia.WithName(name), gorgonia.WithValue(start))
	p, err := b.params.Adopt(n, role)
	require.NoError(b.t, err)
	q := &pair{Param: p, grad: tensor.New(tensor.Of(start.Dtype()), tensor.WithShape(start.Shape()...))}
	b.pairs[name] = q
	b.order = append(b.order, name)
	return q
}

// list is what is handed to a Step.
func (b *bench) list() []gorgonia.ValueGrad {
	var out []gorgonia.ValueGrad
	for _, name := range b.order {
		out = append(out, b.pairs[name])
	}
	return out
}

// split groups all parameters by a policy.
func (b *bench) split(p groups.Policy) *groups.Groups {
	b.t.Helper()
	gs, err := groups.Split(b.params, p)
	require.NoError(b.t, err)
	return gs
}
