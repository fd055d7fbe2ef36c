package kernel

import "math/bits"

// Philox is the counter-based random number generator Philox4x32-10 (Salmon
// et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four words that
// are a pure function of key and counter, so that a mask need not be stored
// and does not depend on who computes which part of it.
func Philox(key [2]uint32, ctr [4]uint32) [4]uint32 {
	const rounds = 10
	k0, k1 := key[0], key[1]
	for range rounds {
		hi0, lo0 := bits.Mul32(philoxM0, ctr[0])
		hi1, lo1 := bits.Mul32(philoxM1, ctr[2])
		ctr = [4]uint32{hi1 ^ ctr[1] ^ k0, lo1, hi0 ^ ctr[3] ^ k1, lo0}
		k0 += philoxW0
		k1 += philoxW1
	}
	return ctr
}

// The multipliers and key increments of the paper, table 2.
const (
	philoxM0, philoxM1 = 0xD2511F53, 0xCD9E8D57
	philoxW0, philoxW1 = 0x9E3779B9, 0xBB67AE85
)
