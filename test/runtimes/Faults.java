// What a Java virtual machine does by SIGSEGV: null checks in compiled code, safepoints of running threads, overflow of
// the stack. Prints what it counted.
public class Faults {
  static Object sink;

  static int depth(int n) {
    return depth(n + 1) + 1;
  }

  public static void main(String[] arguments) throws Exception {
    int nulls = 0;
    for (int i = 0; i < 200000; i++) {
      Object object = i % 3 == 0 ? null : "text";
      try {
        if (object.hashCode() == 7) nulls = -1000000;
      } catch (NullPointerException expected) {
        nulls++;
      }
    }
    Thread[] threads = new Thread[4];
    for (int k = 0; k < threads.length; k++) {
      threads[k] = new Thread(() -> {
        long sum = 0;
        for (int i = 0; i < 50000000; i++) sum += i;
        sink = sum;
      });
      threads[k].start();
    }
    for (int i = 0; i < 5; i++) System.gc();
    for (Thread thread : threads) thread.join();
    int overflows = 0;
    for (int i = 0; i < 3; i++) {
      try {
        depth(0);
      } catch (StackOverflowError expected) {
        overflows++;
      }
    }
    System.out.println("nulls " + nulls + ", sum " + sink + ", overflows " + overflows);
  }
}
