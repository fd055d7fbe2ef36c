package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rowsOf splits the shape of x into rows and columns: (..., cols).
func rowsOf(op string, x *gorgonia.Node) (rows, cols int, err error) {
	if x == nil {
		return 0, 0, errors.Errorf("op: %s: x = nil, want a node", op)
	}
	s := x.Shape()
	if len(s) < 2 {
		return 0, 0, errors.Errorf("op: %s: shape of x = %v, want at least 2 dimensions", op, s)
	}
	cols = s[len(s)-1]
	return s.TotalSize() / cols, cols, nil
}

// wantShape checks the shape of the input called name.
func wantShape(op, name string, n *gorgonia.Node, want ...int) error {
	if n == nil {
		return errors.Errorf("op: %s: %s = nil, want a node", op, name)
	}
	if !n.Shape().Eq(tensor.Shape(want)) {
		return errors.Errorf("op: %s: shape of %s = %v, want %v", op, name, n.Shape(), tensor.Shape(want))
	}
	return nil
}

// withLast is s with another last dimension.
func withLast(s tensor.Shape, n int) tensor.Shape {
	s = s.Clone()
	s[len(s)-1] = n
	return s
}

// checkIDs refuses a token id outside of a vocabulary of v.
func checkIDs(name string, ids []int32, v int) error {
	for i, id := range ids {
		if uint32(id) >= uint32(v) {
			return errors.Errorf("%s[%d] = %d, want 0 <= id < %d, the size of the vocabulary", name, i, id, v)
		}
	}
	return nil
}
