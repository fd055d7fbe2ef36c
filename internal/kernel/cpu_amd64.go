//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// The kernels' dispatchers test these. They change only in tests.
var useAVX2, useAVX512 bool

func init() { setLevel(startLevel()) }

// processorLevel is the best that processor and operating system support.
func processorLevel() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return portable
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL:
		return avx2
	}
	return avx512
}

func setLevel(l level) {
	useAVX2 = l >= avx2
	useAVX512 = l >= avx512
}

func currentLevel() level {
	switch {
	case useAVX512:
		return avx512
	case useAVX2:
		return avx2
	}
	return portable
}
