package kernel

import "math"

// RoPEPairing says which channels of a head a rotary position embedding
// rotates together.
type RoPEPairing int

const (
	// RoPEHalf pairs channel i with i+D/2 ("rotate half": Hugging Face's storage).
	RoPEHalf RoPEPairing = iota
	// RoPEInterleaved pairs channel 2i with 2i+1 (Meta's and Mistral's storage).
	RoPEInterleaved
)

// RoPETable holds the cosines and sines of the angles t * theta^(-2i/D) of
// positions t = 0, 1, ... and channel pairs i < D/2.
type RoPETable[T Float] struct {
	positions, D int
	cos, sin     []T // (positions, D/2)
}

// NewRoPETable computes a table for positions 0..positions-1 and heads of D
// channels, D even. Angles are computed in float64 and their functions rounded
// once.
func NewRoPETable[T Float](positions, D int, theta float64) *RoPETable[T] {
	if positions < 0 || D < 2 || D%2 != 0 || !(theta > 0) {
		panic("kernel: RoPE: want positions >= 0, an even D >= 2, theta > 0")
	}
	half := D / 2
	t := &RoPETable[T]{positions, D, make([]T, positions*half), make([]T, positions*half)}
	for i := 0; i < half; i++ {
		frequency := math.Pow(theta, -2*float64(i)/float64(D))
		for p := 0; p < positions; p++ {
			sin, cos := math.Sincos(float64(p) * frequency)
			t.sin[p*half+i], t.cos[p*half+i] = T(sin), T(cos)
		}
	}
	return t
}

// Positions returns the number of positions in the table.
func (t *RoPETable[T]) Positions() int { return t.positions }

// RoPE rotates each channel pair of the heads of src by the angle of its
// position (Su et al. 2021, arXiv:2104.09864): with (x,y) the pair,
//
//	(x cos - y sin, x sin + y cos)
//
// Token (b,t) stands at position past+t; its row of heads*D channels begins at
// src[(b*T+t)*ldsrc] and dst[(b*T+t)*lddst]. inverse rotates back, which is
// also the gradient. dst may be src. For float32 the error is at most
// 3 (|x cos| + |y sin|) 2^-24, and likewise of the second.
func RoPE[T Float](table *RoPETable[T], pairing RoPEPairing, inverse bool, past int,
	dst []T, lddst int, src []T, ldsrc int, B, tokens, heads int) {
	D := table.D
	width := heads * D
	if past < 0 || past+tokens > table.positions {
		panic("kernel: RoPE: a position is outside the table")
	}
	rows := B * tokens
	if heads == 0 {
		return
	}
	if lddst < width || ldsrc < width || (rows > 0 && (len(dst) < (rows-1)*lddst+width || len(src) < (rows-1)*ldsrc+width)) {
		panic("kernel: RoPE: a slice or its row stride is too short for the shape")
	}
	var sign T = 1
	if inverse {
		sign = -1
	}
	rotate := attnLoopsOf[T]().rotateHalf
	if pairing == RoPEInterleaved {
		rotate = rotatePairsLoop[T]
	}
	ParallelRange(rows, rowGrain(width), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			at := (past + r%tokens) * (D / 2)
			cos, sin := table.cos[at:at+D/2], table.sin[at:at+D/2]
			rotate(dst[r*lddst:], D, src[r*ldsrc:], D, heads, D/2, cos, sin, sign)
		}
	})
}

// rotateHalfLoop rotates the element pairs (i, i+D) of rows of 2 D elements.
func rotateHalfLoop[T Float](dst []T, lddst int, src []T, ldsrc, rows, D int, cos, sin []T, sign T) {
	for r := 0; r < rows; r++ {
		in, out := src[r*ldsrc:][:2*D], dst[r*lddst:][:2*D]
		for i, c := range cos[:D] {
			x, y, s := in[i], in[D+i], sign*sin[i]
			out[i], out[D+i] = x*c-y*s, x*s+y*c
		}
	}
}

// rotatePairsLoop rotates the element pairs (2i, 2i+1) of rows of 2 D elements.
func rotatePairsLoop[T Float](dst []T, lddst int, src []T, ldsrc, rows, D int, cos, sin []T, sign T) {
	for r := 0; r < rows; r++ {
		in, out := src[r*ldsrc:][:2*D], dst[r*lddst:][:2*D]
		for i, c := range cos[:D] {
			x, y, s := in[2*i], in[2*i+1], sign*sin[i]
			out[2*i], out[2*i+1] = x*c-y*s, x*s+y*c
		}
	}
}
