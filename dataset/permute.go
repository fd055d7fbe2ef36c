package dataset

import "math/bits"

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of
// the input changes half the bits of the output.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash is a pseudo-random number that depends on all of its inputs and their
// order.
func hash(words ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range words {
		h = mix(h ^ mix(w+0x9e3779b97f4a7c15))
	}
	return h
}

// below maps a 64-bit hash to [0, n) (Lemire 2019, without the rejection: the
// bias is n/2^64).
func below(h uint64, n int) int {
	hi, _ := bits.Mul64(h, uint64(n))
	return int(hi)
}

const feistelRounds = 6

// permutation is a pseudo-random bijection of [0, n), keyed by two words. It
// needs no table: a Feistel network (Luby and Rackoff 1988) permutes the next
// power of four, and values that fall outside [0, n) are permuted again until
// they fall inside (cycle walking, Black and Rogaway 2002): less than 4 times
// on average.
type permutation struct {
	n    uint64
	half int // bits in each half
	keys [feistelRounds]uint64
}

func newPermutation(n int, seed, epoch uint64) permutation {
	p := permutation{n: uint64(n), half: (bits.Len64(uint64(n-1)) + 1) / 2}
	for r := range p.keys {
		p.keys[r] = hash(seed, epoch, uint64(r))
	}
	return p
}

// at is the image of i, for 0 <= i < n.
func (p *permutation) at(i int) int {
	mask := uint64(1)<<p.half - 1
	x := uint64(i)
	for {
		l, r := x>>p.half, x&mask
		for _, k := range p.keys {
			l, r = r, l^(mix(r^k)&mask)
		}
		if x = l<<p.half | r; x < p.n {
			return int(x)
		}
	}
}
