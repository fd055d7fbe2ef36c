package graph

import (
	"hash/fnv"
	"math/rand/v2"
)

// Init draws one element of a parameter. The generator is seeded by the seed
// of the Params and the parameter's name alone, so neither the order of
// creation nor other parameters change what is drawn. A nil Init leaves zeros.
type Init func(rng *rand.Rand) float64

// Normal draws from a normal distribution with mean 0 and the given standard
// deviation.
func Normal(std float64) Init {
	return func(rng *rand.Rand) float64 { return std * rng.NormFloat64() }
}

// Uniform draws from [lo, hi).
func Uniform(lo, hi float64) Init {
	return func(rng *rand.Rand) float64 { return lo + (hi-lo)*rng.Float64() }
}

// Constant gives every element the value c.
func Constant(c float64) Init {
	return func(*rand.Rand) float64 { return c }
}

func newRNG(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func fill[T float32 | float64](xs []T, init Init, rng *rand.Rand) {
	for i := range xs {
		xs[i] = T(init(rng))
	}
}
