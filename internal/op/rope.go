package op

import (
	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/kernel"
)

// RoPE is a rotary position embedding (Su et al. 2021, arXiv:2104.09864): what
// the attention ops of one graph share. They run one after another, so that
// one memory for rotated queries and keys is enough for all.
type RoPE struct {
	theta       float64
	interleaved bool
	f32         ropeState[float32]
	f64         ropeState[float64]
}

type ropeState[T kernel.Float] struct {
	table  *kernel.RoPETable[T]
	memory []T
}

// NewRoPE makes a RoPE of base theta. It pairs channel i of a head with i+D/2,
// as Hugging Face stores them, or, interleaved, 2i with 2i+1, as Meta does.
func NewRoPE(theta float64, interleaved bool) (*RoPE, error) {
	if !(theta > 0) {
		return nil, errors.Errorf("op: RoPE: theta = %v, want theta > 0", theta)
	}
	return &RoPE{theta: theta, interleaved: interleaved}, nil
}

func (r *RoPE) pairing() kernel.RoPEPairing {
	if r.interleaved {
		return kernel.RoPEInterleaved
	}
	return kernel.RoPEHalf
}

// ropeStateOf is the state of r for elements of type T.
func ropeStateOf[T kernel.Float](r *RoPE) *ropeState[T] {
	if s, ok := any(&r.f32).(*ropeState[T]); ok {
		return s
	}
	return any(&r.f64).(*ropeState[T])
}

// tableOf has the angles of positions below T for heads of size D.
func tableOf[T kernel.Float](r *RoPE, positions, d int) *kernel.RoPETable[T] {
	s := ropeStateOf[T](r)
	if s.table == nil || s.table.Positions() < positions || s.table.D != d {
		s.table = kernel.NewRoPETable[T](positions, d, r.theta)
	}
	return s.table
}
