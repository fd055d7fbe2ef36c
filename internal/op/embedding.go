package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// Embedding is y[b,t] = scale table[ids[b,t]] + positions[t] of integer ids
// (B,T), table (V,C) and positions (at least T, C), which may be nil: (B,T,C).
// A run with an id outside of the vocabulary is an error.
func Embedding(ids, table, positions *gorgonia.Node, scale float64) (*gorgonia.Node, error) {
	if ids == nil || ids.Dims() != 2 || !isInt(ids.Dtype()) {
		return nil, errors.Errorf("op: Embedding: ids = %v, want an integer matrix (B,T)", ids)
	}
	if table == nil || table.Dims() != 2 {
		return nil, errors.Errorf("op: Embedding: table = %v, want a matrix (V,C)", table)
	}
	e := embeddingShape{b: ids.Shape()[0], t: ids.Shape()[1], v: table.Shape()[0], c: table.Shape()[1], scale: scale}
	s := spec{name: "Embedding", in: gorgonia.Nodes{ids, table}, shape: tensor.Shape{e.b, e.t, e.c}, reads: []int{0}}
	if positions != nil {
		if positions.Dims() != 2 {
			return nil, errors.Errorf("op: Embedding: positions = %v, want a matrix (T,C)", positions)
		}
		e.context = positions.Shape()[0]
		if e.t > e.context {
			return nil, errors.Errorf("op: Embedding: T = %d, want T <= %d, the number of positions", e.t, e.context)
		}
		if err := wantShape("Embedding", "positions", positions, e.context, e.c); err != nil {
			return nil, err
		}
		s.in = append(s.in, positions)
	}
	return build(s, &embedding[float32]{embeddingShape: e}, &embedding[float64]{embeddingShape: e})
}

type embeddingShape struct {
	b, t, v, c int
	context    int // rows of positions, 0 without
	scale      float64
}

type embedding[T kernel.Float] struct {
	embeddingShape
	head   *head[T]      // whose gradient of the table this op adds to, nil if none
	joined *gradients[T] // this op's gradients on the tape, if they hold the head's
}

// differentiate shares the head's gradient of the table. The head has been
// differentiated before, if the cost depends on it.
func (e *embedding[T]) differentiate(g *gradients[T]) {
	if e.head != nil && e.head.early != nil {
		g.of[1], e.joined = e.head.early.of[1], g
	}
}

// y[b,t] = scale table[ids[b,t]] + positions[t]
func (e *embedding[T]) forward(y []T, in *inputs[T]) error {
	if err := checkIDs("ids", in.ids[0], e.v); err != nil {
		return err
	}
	kernel.Embedding(y, in.f[1], in.ids[0], e.c)
	if e.scale != 1 {
		kernel.Scale(y, T(e.scale), y)
	}
	if e.context > 0 {
		// The positions are a bias of one row of T*C for each of the B sequences.
		kernel.AddBias(y, in.f[2][:e.t*e.c], e.b, e.t*e.c)
	}
	return nil
}

// dtable[v] = scale sum of dy where ids = v, dpositions[t] = sum_b dy[b,t]
func (e *embedding[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	if e.joined != nil && &e.joined.d[0] == &d[0] {
		kernel.EmbeddingBackwardAdd(d[1], dy, in.ids[0], e.v, e.c)
	} else {
		kernel.EmbeddingBackward(d[1], dy, in.ids[0], e.v, e.c)
		if e.scale != 1 {
			kernel.Scale(d[1], T(e.scale), d[1])
		}
	}
	if e.context > 0 {
		used := e.t * e.c
		kernel.SumRows(d[2][:used], dy, e.b, used)
		clear(d[2][used:])
	}
	return nil
}

// AddPositions is y[b,t] = x[b,t] + positions[t] of x (B,T,C) and positions (at
// least T, C): (B,T,C).
func AddPositions(x, positions *gorgonia.Node) (*gorgonia.Node, error) {
	if x == nil || x.Dims() != 3 {
		return nil, errors.Errorf("op: AddPositions: x = %v, want a tensor (B,T,C)", x)
	}
	b, t, c := x.Shape()[0], x.Shape()[1], x.Shape()[2]
	if positions == nil || positions.Dims() != 2 || positions.Shape()[0] < t {
		return nil, errors.Errorf("op: AddPositions: positions = %v, want a matrix of at least T = %d rows", positions, t)
	}
	if err := wantShape("AddPositions", "positions", positions, positions.Shape()[0], c); err != nil {
		return nil, err
	}
	s := spec{name: "AddPositions", in: gorgonia.Nodes{x, positions}, shape: x.Shape()}
	return build(s, &addPositions[float32]{b, t * c}, &addPositions[float64]{b, t * c})
}

type addPositions[T kernel.Float] struct{ b, tc int }

func (a *addPositions[T]) forward(y []T, in *inputs[T]) error {
	copy(y, in.f[0])
	kernel.AddBias(y, in.f[1][:a.tc], a.b, a.tc)
	return nil
}

// dx = dy, dpositions[t] = sum_b dy[b,t]
func (a *addPositions[T]) backward(d [][]T, dy, _ []T, _ *inputs[T]) error {
	copy(d[0], dy)
	kernel.SumRows(d[1][:a.tc], dy, a.b, a.tc)
	clear(d[1][a.tc:])
	return nil
}
