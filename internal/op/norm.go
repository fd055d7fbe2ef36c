package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// LayerNorm is y = (x - mean)/sqrt(var + eps) gain + bias over the last
// dimension of x (...,C) (Ba, Kiros and Hinton 2016, arXiv:1607.06450). bias
// may be nil.
func LayerNorm(x, gain, bias *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s, n, err := normSpec("LayerNorm", x, gain, eps)
	if err != nil {
		return nil, err
	}
	if bias != nil {
		if err := wantShape("LayerNorm", "bias", bias, n.cols); err != nil {
			return nil, err
		}
		s.in = append(s.in, bias)
	}
	return build(s, &layerNorm[float32]{norm: n}, &layerNorm[float64]{norm: n})
}

// RMSNorm is y = x/sqrt(mean(x^2) + eps) gain over the last dimension of x
// (...,C) (Zhang and Sennrich 2019, arXiv:1910.07467).
func RMSNorm(x, gain *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s, n, err := normSpec("RMSNorm", x, gain, eps)
	if err != nil {
		return nil, err
	}
	return build(s, &rmsNorm[float32]{norm: n}, &rmsNorm[float64]{norm: n})
}

type norm struct {
	rows, cols int
	eps        float64
}

func normSpec(name string, x, gain *gorgonia.Node, eps float64) (spec, norm, error) {
	rows, cols, err := rowsOf(name, x)
	if err != nil {
		return spec{}, norm{}, err
	}
	if err := wantShape(name, "gain", gain, cols); err != nil {
		return spec{}, norm{}, err
	}
	if !(eps >= 0) {
		return spec{}, norm{}, errors.Errorf("op: %s: eps = %v, want eps >= 0", name, eps)
	}
	s := spec{name: name, in: gorgonia.Nodes{x, gain}, shape: x.Shape(), reads: []int{0, 1, output}}
	return s, norm{rows, cols, eps}, nil
}

// takesMore says that the backward pass adds inputs.more to the gradient of x.
func (norm) takesMore() {}

type layerNorm[T kernel.Float] struct {
	norm
	mean, rstd []T // (rows)
}

func (n *layerNorm[T]) forward(y []T, in *inputs[T]) error {
	var bias []T
	if len(in.f) > 2 {
		bias = in.f[2]
	}
	n.mean, n.rstd = grow(n.mean, n.rows), grow(n.rstd, n.rows)
	kernel.LayerNorm(y, n.mean, n.rstd, in.f[0], in.f[1], bias, n.rows, n.cols, T(n.eps))
	return nil
}

func (n *layerNorm[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	var dbias []T
	if len(d) > 2 {
		dbias = d[2]
	}
	kernel.LayerNormBackward(d[0], d[1], dbias, in.more, dy, in.f[0], in.f[1], n.mean, n.rstd, n.rows, n.cols)
	return nil
}

type rmsNorm[T kernel.Float] struct {
	norm
	rstd []T // (rows)
}

func (n *rmsNorm[T]) forward(y []T, in *inputs[T]) error {
	n.rstd = grow(n.rstd, n.rows)
	kernel.RMSNorm(y, n.rstd, in.f[0], in.f[1], n.rows, n.cols, T(n.eps))
	return nil
}

func (n *rmsNorm[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	kernel.RMSNormBackward(d[0], d[1], in.more, dy, in.f[0], in.f[1], n.rstd, n.rows, n.cols)
	return nil
}

// grow is xs with n elements, made anew if it had fewer.
func grow[E any](xs []E, n int) []E {
	if cap(xs) < n {
		return make([]E, n)
	}
	return xs[:n]
}
