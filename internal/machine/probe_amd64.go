//go:build amd64 && !purego

package machine

import (
	"unsafe"

	"github.com/gorget/gorget/internal/kernel"
)

// probeChains is the number of multiply-adds in a loop of the fma routines.
const probeChains = 15

// fmaProbe returns the routine for the instruction set in use, and the lanes
// of its vectors.
func fmaProbe() (fma func(n int), lanes int) {
	switch kernel.InstructionSet() {
	case "avx512":
		return fmaAVX512, 16
	case "avx2":
		return fmaAVX2, 8
	}
	return nil, 0
}

func streamProbe() func(dst, src *float32, n int) {
	switch kernel.InstructionSet() {
	case "avx512":
		return streamAVX512
	case "avx2":
		return streamAVX2
	}
	return nil
}

func aligned(xs []float32) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(xs)))%64 == 0
}
