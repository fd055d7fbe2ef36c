package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// target is an instruction set for one element type: what differs between the
// copies of a routine.
type target struct {
	prefix string // of the routine's name: s or d, as in BLAS
	suffix string // AVX2 or AVX512
	typ    string // Go's name of the element type
	size   int    // bytes of an element
	lanes  int    // elements of a vector
	vec    []VecPhysical

	// Instructions, the destination last.
	mov   func(...Op)
	bcast func(...Op)
	mul   func(...Op)
	fma   func(...Op) // a, b, c: c += a*b
	axpy  func(...Op) // c, b, a: a = a*b + c
}

var (
	zmm = []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}
	ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

	singles = target{
		prefix: "s", typ: "float32", size: 4,
		mov: VMOVUPS, bcast: VBROADCASTSS, mul: VMULPS, fma: VFMADD231PS, axpy: VFMADD213PS,
	}
	doubles = target{
		prefix: "d", typ: "float64", size: 8,
		mov: VMOVUPD, bcast: VBROADCASTSD, mul: VMULPD, fma: VFMADD231PD, axpy: VFMADD213PD,
	}
)

func (t target) avx512() target {
	t.suffix, t.vec, t.lanes = "AVX512", zmm, 64/t.size
	return t
}

func (t target) avx2() target {
	t.suffix, t.vec, t.lanes = "AVX2", ymm, 32/t.size
	return t
}

// width is the number of bytes of a vector.
func (t target) width() int { return t.lanes * t.size }

// maskedLanes lets loads and stores touch the first n lanes of a vector alone.
// AVX-512 has mask registers, which leave no operand unused; AVX2 masks with a
// vector, and there is none to spare, so each use loads it from memory.
type maskedLanes struct {
	target
	k       Register // AVX-512: the mask
	address Mem      // AVX2: the mask vector
}

// lanesBelow returns the mask of the lanes below n, 1 <= n <= lanes. It uses
// RCX, and k or R13 as long as the mask is needed.
func (t target) lanesBelow(n Register, k Register) maskedLanes {
	if t.suffix == "AVX512" {
		MOVQ(n, RCX)
		MOVL(U32(1), R13.As32())
		SHLL(CL, R13.As32())
		DECL(R13.As32())
		KMOVW(R13.As32(), k)
		return maskedLanes{target: t, k: k}
	}
	// vectorMasks + width - n*size
	IMUL3Q(U32(t.size), n, RCX)
	LEAQ(vectorMasks().Offset(t.width()), R13)
	SUBQ(RCX, R13)
	return maskedLanes{target: t, address: Mem{Base: R13}}
}

// load sets the lanes beyond the mask to zero and does not read their memory.
func (m maskedLanes) load(from Mem, to VecPhysical) {
	switch {
	case m.suffix == "AVX512" && m.size == 4:
		VMOVUPS_Z(from, m.k, to)
	case m.suffix == "AVX512":
		VMOVUPD_Z(from, m.k, to)
	case m.size == 4:
		VMOVUPS(m.address, to)
		VMASKMOVPS(from, to, to)
	default:
		VMOVUPD(m.address, to)
		VMASKMOVPD(from, to, to)
	}
}

// store does not write the memory beyond the mask. AVX2 uses free.
func (m maskedLanes) store(from VecPhysical, to Mem, free VecPhysical) {
	switch {
	case m.suffix == "AVX512":
		m.mov(from, m.k, to)
	case m.size == 4:
		VMOVUPS(m.address, free)
		VMASKMOVPS(from, free, to)
	default:
		VMOVUPD(m.address, free)
		VMASKMOVPD(from, free, to)
	}
}

var masks *Mem

// vectorMasks is 32 bytes of ones and 32 bytes of zeros.
func vectorMasks() Mem {
	if masks == nil {
		m := GLOBL("vectorMasks", RODATA|NOPTR)
		for i := range 8 {
			DATA(8*i, U64([]uint64{^uint64(0), 0}[i/4]))
		}
		masks = &m
	}
	return *masks
}
