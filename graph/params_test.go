package graph_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
)

func newParams(t *testing.T, opts ...graph.ParamsOption) *graph.Params {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph(), opts...)
	require.NoError(t, err)
	return ps
}

func TestNewRefuses(t *testing.T) {
	ps := newParams(t)
	_, err := ps.New("w", graph.Weight, tensor.Shape{2, 3}, nil)
	require.NoError(t, err)
	foreign := gorgonia.NewMatrix(ps.Graph(), tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("x"))
	require.NotNil(t, foreign)
	for _, c := range []struct {
		name, param string
		role        graph.Role
		shape       tensor.Shape
		want        string
		is          error
	}{
		{"unset role", "a", graph.RoleUnset, tensor.Shape{2, 2}, "parameter a", graph.ErrRoleUnset},
		{"invalid role", "a", graph.Role(200), tensor.Shape{2, 2}, "parameter a", graph.ErrRoleUnset},
		{"duplicate", "w", graph.Weight, tensor.Shape{5, 5}, "parameter w", graph.ErrDuplicate},
		{"a node of that name", "x", graph.Weight, tensor.Shape{2, 2}, "parameter x", graph.ErrDuplicate},
		{"no name", "", graph.Bias, tensor.Shape{2}, "has no name", nil},
		{"no shape", "a", graph.Scalar, nil, "shape ()", nil},
		{"empty dimension", "a", graph.Bias, tensor.Shape{0}, "positive dimensions", nil},
		{"matrix of rank 1", "a", graph.Weight, tensor.Shape{4}, "at least 2 dimensions", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ps.New(c.param, c.role, c.shape, nil)
			require.ErrorContains(t, err, c.want)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Equal(t, 1, ps.Len(), "a refused parameter leaves no trace")
		})
	}
}

func TestInitDependsOnSeedAndNameOnly(t *testing.T) {
	shape := tensor.Shape{3, 5}
	value := func(names []string, seed uint64) []float32 {
		ps := newParams(t, graph.WithSeed(seed))
		for _, n := range names {
			_, err := ps.New(n, graph.Weight, shape, graph.Normal(1))
			require.NoError(t, err)
		}
		f32, _, err := graph.Floats(ps.Get("a").Value())
		require.NoError(t, err)
		return f32
	}
	require.Equal(t, value([]string{"a", "b"}, 1), value([]string{"b", "c", "a"}, 1))
	require.NotEqual(t, value([]string{"a"}, 1), value([]string{"a"}, 2))
}

func TestDescribedParametersHoldNoMemory(t *testing.T) {
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	p, err := ps.New("huge", graph.Weight, tensor.Shape{1 << 20, 1 << 20}, graph.Normal(1))
	require.NoError(t, err)
	require.Equal(t, 1<<40, ps.Size())
	require.Nil(t, p.Value())
	_, err = p.Grad()
	require.ErrorContains(t, err, "only described")
}

func TestShareHandsOutTheSameTensors(t *testing.T) {
	ps := newParams(t)
	p, err := ps.New("w", graph.Weight, tensor.Shape{2, 2}, graph.Constant(3))
	require.NoError(t, err)
	other, err := ps.Share(gorgonia.NewGraph())
	require.NoError(t, err)
	q, err := other.New("w", graph.Weight, tensor.Shape{2, 2}, graph.Constant(7))
	require.NoError(t, err)
	require.Same(t, p.Value(), q.Value())

	_, err = other.New("v", graph.Weight, tensor.Shape{2, 2}, nil)
	require.ErrorContains(t, err, "parameter v")
	third, err := ps.Share(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = third.New("w", graph.Weight, tensor.Shape{2, 3}, nil)
	require.ErrorContains(t, err, "(2, 3)")
	_, err = ps.Share(ps.Graph())
	require.Error(t, err)
}

func TestAdoptAndTie(t *testing.T) {
	ps := newParams(t)
	g := ps.Graph()
	b := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("b"))
	p, err := ps.Adopt(b, graph.Bias)
	require.NoError(t, err)
	require.Same(t, p, ps.Of(b))
	_, err = ps.Adopt(b, graph.Bias)
	require.ErrorIs(t, err, graph.ErrDuplicate)
	sum := gorgonia.Must(gorgonia.Sum(b))
	_, err = ps.Adopt(sum, graph.Bias)
	require.ErrorContains(t, err, "want an input")
	_, err = ps.Adopt(gorgonia.NewVector(gorgonia.NewGraph(), tensor.Float64, gorgonia.WithShape(3)), graph.Bias)
	require.ErrorContains(t, err, "another graph")
	_, err = ps.Adopt(gorgonia.NewVector(g, tensor.Int, gorgonia.WithShape(3), gorgonia.WithName("ids")), graph.Bias)
	require.ErrorContains(t, err, "dtype int")

	require.NoError(t, ps.Tie("head", p))
	require.Same(t, p, ps.Get("head"))
	require.ErrorIs(t, ps.Tie("head", p), graph.ErrDuplicate)
	require.Equal(t, []string{"head"}, p.Aliases())
}

func TestRolesHaveNamesAndClasses(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range graph.Roles() {
		require.NotEqual(t, graph.ClassUnset, r.Class(), r)
		require.False(t, seen[r.String()], "%s twice", r)
		seen[r.String()] = true
		back, err := graph.ParseRole(r.String())
		require.NoError(t, err)
		require.Equal(t, r, back)
	}
	_, err := graph.ParseRole("unset")
	require.Error(t, err)
}

func TestFloatsRefusesWhatIsNotRowMajor(t *testing.T) {
	matrix := func() *tensor.Dense {
		return tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	}
	f32, f64, err := graph.Floats(matrix())
	require.NoError(t, err)
	require.Nil(t, f64)
	require.Len(t, f32, 6)

	transposed := matrix()
	require.NoError(t, transposed.T())
	_, _, err = graph.Floats(transposed)
	require.ErrorContains(t, err, "strides [1 2]")
	columns, err := matrix().Slice(nil, tensor.S(0, 1))
	require.NoError(t, err)
	_, _, err = graph.Floats(columns.(*tensor.Dense))
	require.ErrorContains(t, err, "strides")
	_, _, err = graph.Floats(tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{1})))
	require.ErrorContains(t, err, "dtype = int")
}
