package sample

import (
	"math"

	"github.com/pkg/errors"
)

// ErrNoDistribution: logits from which nothing can be drawn: one is NaN or
// +Inf, or all are -Inf.
var ErrNoDistribution = errors.New("logits without a distribution")

// Sampler chooses tokens by logits. It keeps memory from one choice to the
// next; it is not safe for concurrent use.
type Sampler struct {
	o          Options
	candidates []candidate
}

// candidate is a token with its probability times a constant.
type candidate struct {
	token  int32
	weight float64
}

// NewSampler makes a sampler. It fails with an *[OptionError].
func NewSampler(o Options) (*Sampler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Sampler{o: o}, nil
}

// Pick is the token at a position (counted from 0) of a sequence, given the
// logits of the vocabulary (V). It is a pure function of the options and its
// arguments. A logit of -Inf is a token that is never chosen. It fails with
// [ErrNoDistribution].
func (s *Sampler) Pick(logits []float64, sequence, position int) (int32, error) {
	best, err := argmax(logits)
	if err != nil || s.o.Temperature == 0 {
		return best, err
	}
	c := s.candidates[:0]
	for i, z := range logits {
		c = append(c, candidate{int32(i), math.Exp((z - logits[best]) / s.o.Temperature)})
	}
	s.candidates = c
	if k := s.o.TopK; k > 0 && k < len(c) {
		c = top(c, k, math.Inf(1))
	}
	if p := s.o.TopP; p > 0 && p < 1 {
		c = top(c, len(c), p*total(c))
	}
	return draw(c, uniform(s.o.Seed, uint64(sequence), uint64(position))), nil
}

// argmax is the most likely token, the first of equals.
func argmax(logits []float64) (int32, error) {
	best, highest := -1, math.Inf(-1)
	for i, z := range logits {
		if math.IsNaN(z) || math.IsInf(z, 1) {
			return 0, errors.Wrapf(ErrNoDistribution, "sample: logit of token %d = %v", i, z)
		}
		if z > highest {
			best, highest = i, z
		}
	}
	if best < 0 {
		return 0, errors.Wrapf(ErrNoDistribution, "sample: none of %d logits is a number", len(logits))
	}
	return int32(best), nil
}

// draw is the candidate at the share u, 0 <= u < 1, of the total weight.
func draw(c []candidate, u float64) int32 {
	rest := u * total(c)
	var last int32
	for _, x := range c {
		if x.weight == 0 {
			continue
		}
		last = x.token // what rounding may leave at the end
		if rest -= x.weight; rest < 0 {
			break
		}
	}
	return last
}

func total(c []candidate) float64 {
	var sum float64
	for _, x := range c {
		sum += x.weight
	}
	return sum
}

// top is the most likely candidates, no more than k of them and no more than
// are needed for the weight mass. It reorders c. What it costs beyond one pass
// grows with what is kept: a heap gives up its largest element one by one.
func top(c []candidate, k int, mass float64) []candidate {
	for i := len(c)/2 - 1; i >= 0; i-- {
		siftDown(c, i)
	}
	n := len(c) // c[:n] is a heap, c[n:] is kept
	for sum := 0.0; n > 0 && len(c)-n < k && sum < mass; {
		n--
		c[0], c[n] = c[n], c[0]
		siftDown(c[:n], 0)
		sum += c[n].weight
	}
	return c[n:]
}

// siftDown makes a heap of the tree at i, whose two branches are heaps.
func siftDown(c []candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(c) {
			return
		}
		if child+1 < len(c) && above(c[child+1], c[child]) {
			child++
		}
		if !above(c[child], c[i]) {
			return
		}
		c[i], c[child] = c[child], c[i]
		i = child
	}
}

// above orders candidates: the more likely first, of equals the lower token.
func above(a, b candidate) bool {
	return a.weight > b.weight || a.weight == b.weight && a.token < b.token
}

// uniform is a random number in [0,1), a pure function of its arguments: the
// finalizer of SplitMix64 (Steele, Lea and Flood 2014, Fast splittable
// pseudorandom number generators) applied to each in turn.
func uniform(seed, sequence, position uint64) float64 {
	h := mix(mix(mix(seed)+sequence) + position)
	return float64(h>>11) / (1 << 53)
}

func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
