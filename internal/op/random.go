package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Random says which random numbers an op draws. They are a pure function of
// Seed, Stream, the clock and the position of the element, so that the
// backward pass draws the same ones again, and so does a run that is replayed.
type Random struct {
	Clock  *gorgonia.Node // int64 vector [step, micro-batch]
	Seed   uint64
	Stream uint32 // a number of its own for each op of a model
}

// check refuses a probability or clock that op cannot use.
func (r Random) check(op string, p float64) error {
	if !(p >= 0 && p < 1) {
		return errors.Errorf("op: %s: p = %v, want 0 <= p < 1", op, p)
	}
	if r.Clock == nil || r.Clock.Dtype() != tensor.Int64 {
		return errors.Errorf("op: %s: clock = %v, want an int64 vector [step, micro-batch]", op, r.Clock)
	}
	return wantShape(op, "clock", r.Clock, 2)
}

// key is Philox's key of the op: seed and stream through one round of
// splitmix64 (Steele, Lea and Flood 2014).
func (r Random) key() [2]uint32 {
	z := r.Seed + (uint64(r.Stream)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return [2]uint32{uint32(z), uint32(z >> 32)}
}

// counter is the upper half of Philox's counter: the clock.
func counter(clock []int32) [2]uint32 { return [2]uint32{uint32(clock[0]), uint32(clock[1])} }
