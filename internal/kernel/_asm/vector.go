package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vector is an instruction set seen as float32 vectors; the vector routines
// are written once over it and emitted for each. Registers are virtual: avo
// allocates them.
//
// Operands are in Go's order, the destination last. Where an instruction is
// not commutative or treats NaN unevenly the order is Intel's reversed: a
// constant, which may be in memory, can stand only in the first place.
type vector struct {
	suffix string
	lanes  int
}

var vectors = []vector{{"AVX2", 8}, {"AVX512", 16}}

func (v vector) avx512() bool { return v.lanes == 16 }
func (v vector) width() int   { return 4 * v.lanes }

// reg returns a new vector register.
func (v vector) reg() VecVirtual {
	if v.avx512() {
		return ZMM()
	}
	return YMM()
}

// routine begins a routine; signature is its Go type without func.
func (v vector) routine(name, signature string) {
	TEXT(name+v.suffix, NOSPLIT, "func"+signature)
	Doc(fmt.Sprintf("%s%s is equivalent to %sLoop.", name, v.suffix, name))
	Pragma("noescape")
}

// end ends a routine.
func (v vector) end() {
	VZEROUPPER()
	RET()
}

// broadcast returns a register with the float32 parameter in all lanes.
func (v vector) broadcast(param string) VecVirtual {
	address, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.reg()
	VBROADCASTSS(address.Addr, r)
	return r
}

// zero returns a register of zeros.
func (v vector) zero() VecVirtual {
	r := v.reg()
	if v.avx512() {
		VPXORD(r, r, r)
	} else {
		VPXOR(r, r, r)
	}
	return r
}

// constants are the float32 constants of the file, by bit pattern.
var constants = map[uint32]Mem{}

// word is a constant in memory, as often as AVX2 has lanes.
func word(bits uint32) Mem {
	m, known := constants[bits]
	if !known {
		m = GLOBL(fmt.Sprintf("word%08x", bits), RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

// inRegister returns a register that holds the constant in all lanes.
func (v vector) inRegister(x float64) VecVirtual {
	r := v.reg()
	VBROADCASTSS(word(float32bits(x)), r)
	return r
}

// constant returns the constant for use as a first operand: AVX-512 has the
// registers to keep it in, AVX2 reads it from memory each time.
func (v vector) constant(x float64) Op { return v.bits(float32bits(x)) }

// bits is constant by bit pattern.
func (v vector) bits(pattern uint32) Op {
	if !v.avx512() {
		return word(pattern)
	}
	r := v.reg()
	VBROADCASTSS(word(pattern), r)
	return r
}

func float32bits(x float64) uint32 { return math.Float32bits(float32(x)) }

// at is a place in the walk over the slices: the vector that begins there,
// or the lanes of it that are left at the end.
type at struct {
	vector
	slices map[string]Register
	index  Register // in elements
	disp   int
	mask   Register // nil: all lanes
	n      int      // counts the vectors of an unrolled loop
}

func (a at) address(slice string) Mem {
	return Mem{Base: a.slices[slice], Index: a.index, Scale: 4, Disp: a.disp}
}

// load returns the vector of the slice; lanes beyond the end are zero.
func (a at) load(slice string) VecVirtual {
	r := a.reg()
	switch {
	case a.mask == nil:
		VMOVUPS(a.address(slice), r)
	case a.avx512():
		VMOVUPS_Z(a.address(slice), a.mask, r)
	default:
		VMASKMOVPS(a.address(slice), a.mask, r)
	}
	return r
}

// loadOr is load with the lanes beyond the end taken from fill.
func (a at) loadOr(slice string, fill VecVirtual) VecVirtual {
	r := a.load(slice)
	switch {
	case a.mask == nil:
	case a.avx512():
		merged := a.reg()
		VMOVAPS(fill, merged)
		VMOVAPS(r, a.mask, merged)
		return merged
	default:
		VBLENDVPS(a.mask, r, fill, r)
	}
	return r
}

func (a at) store(x Register, slice string) {
	if a.mask == nil {
		VMOVUPS(x, a.address(slice))
	} else if a.avx512() {
		VMOVUPS(x, a.mask, a.address(slice))
	} else {
		VMASKMOVPS(x, a.mask, a.address(slice))
	}
}

// each writes the walk over slices, space-separated parameters whose first
// gives the length: body is emitted unroll times for the loop, once for the
// vectors left of it if unroll > 1, and once for the lanes left of those.
func (v vector) each(slices string, unroll int, body func(at)) {
	a := at{vector: v, slices: map[string]Register{}, index: GP64()}
	for _, s := range strings.Fields(slices) {
		a.slices[s] = Load(Param(s).Base(), GP64())
	}
	left := Load(Param(strings.Fields(slices)[0]).Len(), GP64())
	XORQ(a.index, a.index)

	v.loop("loop", a, left, unroll, body)
	if unroll > 1 {
		v.loop("single", a, left, 1, body)
	}
	TESTQ(left, left)
	JZ(LabelRef("done"))
	a.mask = v.lanesBelow(left)
	body(a)
	Label("done")
}

// loop emits body for as long as unroll vectors are left.
func (v vector) loop(name string, a at, left Register, unroll int, body func(at)) {
	step := U32(unroll * v.lanes)
	SUBQ(step, left)
	JLT(LabelRef(name + "End"))
	Label(name)
	for u := range unroll {
		a.disp, a.n = u*v.width(), u
		body(a)
	}
	ADDQ(step, a.index)
	SUBQ(step, left)
	JGE(LabelRef(name))
	Label(name + "End")
	ADDQ(step, left)
}

// lanesBelow returns the mask of the lanes below n, 0 < n < lanes.
func (v vector) lanesBelow(n Register) Register {
	if v.avx512() {
		bits, mask := GP32(), K()
		MOVL(I32(-1), bits)
		BZHIL(n.(GPVirtual).As32(), bits, bits)
		KMOVW(bits, mask)
		return mask
	}
	// vectorMasks + width - 4n: n ones, then zeros.
	bytes, address, mask := GP64(), GP64(), v.reg()
	MOVQ(n, bytes)
	SHLQ(U8(2), bytes)
	LEAQ(vectorMasks().Offset(v.width()), address)
	SUBQ(bytes, address)
	VMOVUPS(Mem{Base: address}, mask)
	return mask
}
