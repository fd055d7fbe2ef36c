package kernel

import (
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// walled returns n elements that end, or begin, where memory may not be
// touched: one element too far is a fault.
func walled[T Float](t *testing.T, r *rand.Rand, n int, atEnd bool) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	page := unix.Getpagesize()
	bytes := (n*size + page - 1) / page * page
	memory, err := unix.Mmap(-1, 0, bytes+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(memory)) })
	require.NoError(t, unix.Mprotect(memory[:page], unix.PROT_NONE))
	require.NoError(t, unix.Mprotect(memory[page+bytes:], unix.PROT_NONE))
	start := page
	if atEnd {
		start = page + bytes - n*size
	}
	x := unsafe.Slice((*T)(unsafe.Pointer(&memory[start])), n)
	for i := range x {
		x[i] = T(r.Float64() - 0.5)
	}
	return x
}

// TestGemmStaysInside puts all three matrices between forbidden pages.
func TestGemmStaysInside(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	sizes := []int{1, 7, 8, 15, 17, 33, 45}
	eachImpl(t, func(t *testing.T) {
		t.Run("float32", func(t *testing.T) { staysInside[float32](t, sizes) })
		t.Run("float64", func(t *testing.T) { staysInside[float64](t, sizes) })
	})
}

func staysInside[T Float](t *testing.T, sizes []int) {
	r := rand.New(rand.NewPCG(13, 14))
	largest := sizes[len(sizes)-1]
	for _, atEnd := range []bool{false, true} {
		room := [3][]T{}
		for i := range room {
			room[i] = walled[T](t, r, largest*largest, atEnd)
		}
		matrix := func(i, n int) []T {
			if atEnd {
				return room[i][len(room[i])-n:]
			}
			return room[i][:n]
		}
		for _, m := range sizes {
			for _, n := range sizes {
				for _, k := range sizes {
					a, b, c := matrix(0, m*k), matrix(1, k*n), matrix(2, m*n)
					require.NotPanics(t, func() {
						gemmSerial(false, false, m, n, k, 1, a, k, b, n, 0, c, n)
						gemmSerial(true, false, m, n, k, 1, a, m, b, n, 1, c, n)
						gemmSerial(false, true, m, n, k, 1, a, k, b, k, 0.5, c, n)
						gemmSerial(true, true, m, n, k, 1, a, m, b, k, 0, c, n)
					}, "m=%d n=%d k=%d", m, n, k)
				}
			}
		}
	}
}
