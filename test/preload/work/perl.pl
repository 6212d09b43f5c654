# Hashes, arrays of arrays, regular expressions, sorting, string building, evals that die, pipes and forks.
# Usage: perl.pl short|long. The same output in every run.
use strict;
use warnings;

my $scale = $ARGV[0] eq 'long' ? 12 : 1;
my $state = 42;

sub below {
  my ($n) = @_;
  $state = ($state * 1103515245 + 12345) & 0x7fffffff;
  return ($state >> 8) % $n;
}

sub checksum { return unpack('%32C*', $_[0]) . '/' . length $_[0]; }

sub stage_words {
  my %count;
  for (1 .. 60_000 * $scale) {
    my $word = join '', map { chr(97 + below(4)) } 1 .. 3 + below(5);
    push @{ $count{$word} }, $_;
  }
  my @top = sort { @{ $count{$b} } <=> @{ $count{$a} } or $a cmp $b } keys %count;
  return join ',', map { "$_:" . scalar @{ $count{$_} } } @top[0 .. 9];
}

sub stage_text {
  my $text = '';
  for (1 .. 20_000 * $scale) { $text .= sprintf("line %d: value=%x;\n", $_, below(1 << 20)); }
  my %seen;
  while ($text =~ /value=([0-9a-f]+)([0-9a-f]{2});/g) { $seen{$2}{$1}++; }
  (my $changed = $text) =~ s/value=([0-9a-f]+)/reverse $1/ge;
  my @lines = sort split /\n/, $changed;
  return checksum(join "\n", @lines) . ' ' . join ',', map { scalar keys %{ $seen{$_} } } sort keys %seen;
}

sub stage_trees {
  my $build;
  $build = sub {
    my ($depth) = @_;
    return { leaf => 'v' x below(120) } if $depth == 0;
    return { left => $build->($depth - 1), right => $build->($depth - 1), tag => [ 1 .. below(8) ] };
  };
  my $size;
  $size = sub {
    my ($t) = @_;
    return length $t->{leaf} if exists $t->{leaf};
    return @{ $t->{tag} } + $size->($t->{left}) + $size->($t->{right});
  };
  my $total = 0;
  for (1 .. 4 * $scale) { $total += $size->($build->(12)); }
  return $total;
}

sub stage_deaths {
  my $caught = 0;
  for my $i (1 .. 5_000 * $scale) {
    eval { my @big = (1) x ($i % 300); die { code => $i, data => \@big } if $i % 3; };
    $caught += $@->{code} if ref $@;
  }
  return $caught;
}

sub stage_children {
  my @answers;
  for my $i (1 .. 6 * $scale) {
    my $pid = open(my $pipe, '-|');
    die "fork: $!" unless defined $pid;
    if ($pid == 0) {
      print checksum(join ' ', map { "x$_" } 1 .. 3000 + $i);
      exit 0;
    }
    push @answers, scalar <$pipe>;
    close $pipe or die "child $i: status $?";
  }
  return checksum(join ' ', @answers);
}

sub stage_large {
  my @blocks;
  for my $i (1 .. 20 * $scale) {
    push @blocks, chr(65 + $i % 26) x (200_000 + below(2_000_000));
    shift @blocks if @blocks > 8;
  }
  return join ',', map { checksum($_) } @blocks;
}

$| = 1;
print "words ", stage_words(), "\n";
print "text ", stage_text(), "\n";
print "trees ", stage_trees(), "\n";
print "deaths ", stage_deaths(), "\n";
print "children ", stage_children(), "\n";
print "large ", stage_large(), "\n";
