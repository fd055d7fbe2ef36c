package kernel

import "sync"

// workspaces keeps the buffers of finished products for the next ones, so that
// after the first step of a training run none is allocated.
type workspaces[T Float] struct {
	mu   sync.Mutex
	free [][]T
	held int // elements in free
}

// workspaceLimit bounds the elements kept per element type: beyond it the
// oldest buffers are left to the garbage collector.
const workspaceLimit = 64 << 20

var (
	workspaces32 workspaces[float32]
	workspaces64 workspaces[float64]
)

func workspacesOf[T Float]() *workspaces[T] {
	var w any
	switch any(T(0)).(type) {
	case float32:
		w = &workspaces32
	case float64:
		w = &workspaces64
	}
	return w.(*workspaces[T])
}

// workspace returns a buffer of n elements with any content. The caller gives
// it back by release.
func workspace[T Float](n int) []T {
	w := workspacesOf[T]()
	w.mu.Lock()
	defer w.mu.Unlock()
	// The latest is the likeliest to be in cache. One that is far too large
	// is left for those who need it.
	for i := len(w.free) - 1; i >= 0; i-- {
		if size := cap(w.free[i]); n <= size && size <= 4*n+1<<12 {
			buffer := w.free[i]
			w.free = append(w.free[:i], w.free[i+1:]...)
			w.held -= size
			return buffer[:n]
		}
	}
	const page = 1 << 10
	return make([]T, n, ceilDiv(n, page)*page)
}

// release gives a buffer back. A nil buffer is ignored.
func release[T Float](buffer []T) {
	if buffer == nil {
		return
	}
	w := workspacesOf[T]()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, buffer)
	w.held += cap(buffer)
	for w.held > workspaceLimit {
		w.held -= cap(w.free[0])
		w.free = append(w.free[:0], w.free[1:]...)
	}
}
